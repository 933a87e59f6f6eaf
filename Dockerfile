# Two stages: compile with the development packages, then keep Node, the compiled files and four packages.
ARG NODE_IMAGE=node:22-slim
FROM ${NODE_IMAGE} AS build
WORKDIR /millrace
COPY package.json package-lock.json tsconfig.json ./
RUN npm ci --ignore-scripts
COPY protocol protocol
COPY src src
COPY scripts scripts
# lz4 is optional: without a compiler its batches are stored and served untouched.
RUN npx tsc && (npm rebuild lz4 || true) && npm prune --omit=dev --ignore-scripts

FROM ${NODE_IMAGE}
ENV NODE_ENV=production \
    KAFKA_LOG_DIRS=/var/lib/millrace \
    KAFKA_HTTP_LISTENERS=http://0.0.0.0:8083
WORKDIR /millrace
COPY --from=build /millrace/package.json ./
COPY --from=build /millrace/node_modules node_modules
COPY --from=build /millrace/build/protocol build/protocol
COPY --from=build /millrace/build/src build/src
RUN groupadd --system millrace && useradd --system --gid millrace --home-dir /var/lib/millrace millrace \
    && mkdir -p /var/lib/millrace && chown millrace:millrace /var/lib/millrace \
    && ln -s /millrace/build/src/cli/millrace.js /usr/local/bin/millrace && chmod +x build/src/cli/millrace.js
USER millrace
VOLUME /var/lib/millrace
EXPOSE 9092 8083
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s \
    CMD ["node", "-e", "fetch('http://127.0.0.1:8083/health/ready').then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/millrace/build/src/main.js"]
