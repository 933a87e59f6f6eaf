# Two stages: compile with the development packages, then keep Node, the bundle and what it loads.
ARG NODE_IMAGE=node:22-slim
FROM ${NODE_IMAGE} AS build
WORKDIR /millrace
# For lz4, which is native and optional: without it lz4 batches are stored, served and read all the same.
RUN (apt-get update && apt-get install -y --no-install-recommends g++ make python3) \
    || echo 'No compiler: lz4 will be read but not written'
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts
RUN npm_config_nodedir=/usr/local npm rebuild lz4 || rm -r node_modules/lz4
COPY . .
RUN npm run build && npm prune --omit=dev --ignore-scripts

FROM ${NODE_IMAGE}
WORKDIR /millrace
COPY --from=build /millrace/package.json ./
COPY --from=build /millrace/node_modules node_modules
COPY --from=build /millrace/build/bundle build/bundle
# The user is a number, so that an orchestrator can see that it is not root.
RUN mkdir /var/lib/millrace /var/lib/millrace-tables \
    && chown 1000:1000 /var/lib/millrace /var/lib/millrace-tables \
    && ln -s /millrace/build/bundle/cli.js /usr/local/bin/millrace
ENV NODE_ENV=production \
    KAFKA_LOG_DIRS=/var/lib/millrace \
    KAFKA_HTTP_LISTENERS=http://0.0.0.0:8083
USER 1000:1000
VOLUME /var/lib/millrace /var/lib/millrace-tables
EXPOSE 9092 8083
# By bash alone, which costs 3 ms of CPU; the port is the one at the end of http.listeners, whichever of
# its variables is set.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["bash", "-c", "\
http=${MILLRACE_HTTP_LISTENERS:-${KAFKA_CFG_HTTP_LISTENERS:-$KAFKA_HTTP_LISTENERS}}; \
exec 3<>/dev/tcp/127.0.0.1/${http##*:} \
&& printf 'GET /health/ready HTTP/1.0\\r\\n\\r\\n' >&3 && read -r _ status _ <&3 && [ \"$status\" = 200 ]"]
ENTRYPOINT ["millrace"]
CMD ["start"]
