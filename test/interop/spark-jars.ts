/** Spark 4 with Delta Lake 4 and its reader of Kafka, from Maven, and how its JVM has to be started. */
import { join } from 'node:path'
import { fetchProject } from '../../scripts/apache-kafka.ts'

/** Where its jars are kept from run to run. */
export const sparkJars = (cache: string): string => join(cache, 'spark-4.0.1')

/** Copies them out of Maven unless they are there. Returns why it could not, or null. */
export const fetchSpark = (jars: string): string | null =>
  fetchProject('spark', join(jars, 'spark-sql-kafka-0-10_2.13-4.0.1.jar'))

/** Packages of the JDK that it looks into. */
const opened = [
  ...['java.lang', 'java.lang.invoke', 'java.lang.reflect', 'java.io', 'java.net', 'java.nio'],
  ...['java.util', 'java.util.concurrent', 'java.util.concurrent.atomic'],
  ...['sun.nio.ch', 'sun.nio.cs', 'sun.security.action', 'sun.util.calendar'],
]

export const sparkFlags: readonly string[] = [
  '-Xmx2G',
  ...opened.map((name) => `--add-opens=java.base/${name}=ALL-UNNAMED`),
]
