import static org.apache.spark.sql.functions.col;
import static org.apache.spark.sql.functions.struct;
import static org.apache.spark.sql.functions.to_json;

import io.delta.tables.DeltaTable;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;

/**
 * Spark with Delta Lake, which carries out the lines of a file, one after the other:
 *
 *   version FILE        writes its versions
 *   sql TEXT            a statement
 *   generated PATH      a table with generated and identity columns, which no statement makes without a catalog
 *   read PATH FILE      writes the rows, a JSON object a line, in the forms of `millrace tables read`
 *   changes PATH FILE   writes what all versions changed, as `millrace tables changes` does
 */
public class Delta {
  private static final Map<String, String> FORMS = Map.of(
      "ignoreNullFields", "false",
      "timestampFormat", "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX",
      "timestampNTZFormat", "yyyy-MM-dd'T'HH:mm:ss.SSSSSS");

  private final SparkSession spark;

  Delta(SparkSession spark) {
    this.spark = spark;
  }

  public static void main(String[] args) throws Exception {
    SparkSession spark = SparkSession.builder()
        .master("local[2]")
        .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
        .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
        .config("spark.sql.warehouse.dir", args[0] + ".warehouse")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.databricks.delta.snapshotPartitions", "1")
        .config("spark.databricks.delta.vacuum.parallelDelete.enabled", "false")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .getOrCreate();
    spark.sparkContext().setLogLevel("ERROR");
    Delta delta = new Delta(spark);
    for (String line : Files.readAllLines(Path.of(args[0]))) {
      try {
        delta.carryOut(line);
      } catch (Exception e) {
        System.out.println(line + ": " + e.getMessage());
        System.exit(1);
      }
    }
    spark.stop();
  }

  private void carryOut(String line) throws Exception {
    String[] words = line.split(" ", 3);
    switch (words[0]) {
      case "version" -> Files.writeString(Path.of(words[1]), "Spark " + spark.version());
      case "sql" -> spark.sql(line.substring(4));
      case "generated" -> makeGenerated(words[1]);
      case "read" -> write(spark.read().format("delta").load(words[1]), words[2]);
      case "changes" -> write(
          spark.read().format("delta")
              .option("readChangeFeed", "true")
              .option("startingVersion", 0)
              .load(words[1])
              .drop("_commit_timestamp"),
          words[2]);
      default -> throw new IllegalArgumentException("no such command");
    }
  }

  private void makeGenerated(String path) {
    DeltaTable.create(spark)
        .location(path)
        .addColumn(DeltaTable.columnBuilder(spark, "n").dataType("bigint")
            .generatedAlwaysAsIdentity(10, 5).build())
        .addColumn("id", "bigint")
        .addColumn("at", "timestamp")
        .addColumn(DeltaTable.columnBuilder(spark, "day").dataType("date")
            .generatedAlwaysAs("CAST(at AS DATE)").build())
        .execute();
  }

  private static void write(Dataset<Row> rows, String file) throws Exception {
    Dataset<String> lines = rows.select(to_json(struct(col("*")), FORMS)).as(Encoders.STRING());
    Files.write(Path.of(file), lines.collectAsList());
  }
}
