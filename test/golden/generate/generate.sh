#!/bin/sh
# Writes ../messages/*.jsonl.gz anew: needs Java 17 and Maven. The newest clients first, then the
# versions that only older clients have, then the records that a broker stores.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

libraries() { # VERSION [maven options]: copies Kafka's jars of a version to $work/VERSION
  version=$1
  shift
  mvn -q -Dkafka.version="$version" "$@" dependency:copy-dependencies \
    -DoutputDirectory="$work/$version"
}

libraries 4.4.0
libraries 3.9.1
libraries 4.3.1 -Pstored
rm -rf ../messages
java -cp "$work/4.4.0/*" GoldenMessages.java ../messages all
java -cp "$work/4.3.1/*" GoldenMessages.java ../messages stored
java -cp "$work/3.9.1/*" GoldenMessages.java ../messages older
