import static org.apache.spark.sql.functions.col;
import static org.apache.spark.sql.functions.from_json;

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.streaming.StreamingQuery;
import org.apache.spark.sql.streaming.Trigger;
import org.apache.spark.sql.types.StructType;

/**
 * What somebody lands a topic of JSON in Delta with today, in Spark: Structured Streaming from Kafka, with two threads.
 * Prints one line of JSON when all that the topic had at the start is in the table.
 *
 *   SparkLander BOOTSTRAP TOPIC TABLE SAMPLE WARM_TOPIC
 *
 * The schema is inferred from SAMPLE, lines of JSON, before the clock starts; so is the JVM started, and warmed up with
 * records of the same schema in WARM_TOPIC.
 */
public class SparkLander {
  public static void main(String[] args) throws Exception {
    String table = args[2];
    SparkSession spark = SparkSession.builder()
        .master("local[2]")
        .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
        .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.databricks.delta.snapshotPartitions", "1")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .getOrCreate();
    spark.sparkContext().setLogLevel("ERROR");
    StructType schema = spark.read().json(args[3]).schema();
    land(spark, schema, args[0], args[4], table + ".warm");
    OperatingSystemMXBean system =
        (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    long startedNs = System.nanoTime();
    long cpuNs = system.getProcessCpuTime();
    land(spark, schema, args[0], args[1], table);
    double seconds = (System.nanoTime() - startedNs) / 1e9;
    double cpuSeconds = (system.getProcessCpuTime() - cpuNs) / 1e9;
    String peak = Files.readAllLines(Path.of("/proc/self/status")).stream()
        .filter(line -> line.startsWith("VmHWM"))
        .findFirst()
        .orElseThrow()
        .replaceAll("\\D", "");
    System.out.printf(
        "{\"seconds\": %.3f, \"cpuSeconds\": %.3f, \"peakMb\": %.1f}%n",
        seconds, cpuSeconds, Long.parseLong(peak) / 1024.0);
    spark.stop();
  }

  /** All that the topic has now. */
  private static void land(
      SparkSession spark, StructType schema, String bootstrap, String topic, String table)
      throws Exception {
    StreamingQuery query = spark.readStream()
        .format("kafka")
        .options(Map.of(
            "kafka.bootstrap.servers", bootstrap,
            "subscribe", topic,
            "startingOffsets", "earliest"))
        .load()
        .select(from_json(col("value").cast("string"), schema).as("value"), col("offset"))
        .select(col("value.*"), col("offset").as("kafka_offset"))
        .writeStream()
        .format("delta")
        .option("checkpointLocation", table + ".progress")
        .trigger(Trigger.AvailableNow())
        .start(table);
    query.awaitTermination();
  }
}
