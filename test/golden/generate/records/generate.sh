#!/bin/sh
# Writes test/golden/records/*.jsonl.gz anew with Apache Kafka's own classes. Needs Maven and a JDK.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

lines() { # VERSION CLASS: what the class prints, run with that version of kafka-clients
  sed "s/VERSION/$1/" "$here/pom.xml" >"$work/pom.xml"
  mvn -q -B -f "$work/pom.xml" dependency:copy-dependencies -DoutputDirectory="$work/$1" >&2
  javac -cp "$work/$1/*" -d "$work/$1" "$here/$2.java"
  java -cp "$work/$1:$work/$1/*" "$2"
}

lines 4.4.0 GoldenBatches >"$work/batches.jsonl"
lines 3.9.1 GoldenMessageSets >"$work/message-sets.jsonl"
for name in batches message-sets; do
  gzip -n9 <"$work/$name.jsonl" >"$here/../../records/$name.jsonl.gz"
done
