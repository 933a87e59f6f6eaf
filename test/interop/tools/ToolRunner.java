/**
 * Runs main classes of Kafka's tools one after the other in one JVM, since starting one for each costs a
 * second. A command comes as one line of base64 words: what to give it to read, the class, the arguments.
 * The answer is one line: the exit code, then in base64 what was printed to standard output and to
 * standard error.
 */
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.util.Arrays;
import java.util.Base64;
import org.apache.kafka.common.utils.Exit;

public class ToolRunner {
  static final class Exited extends Error {}

  static volatile Integer exitCode;

  public static void main(String[] ignored) throws Exception {
    BufferedReader commands = new BufferedReader(new InputStreamReader(System.in));
    PrintStream answers = System.out;
    Exit.Procedure remember = (code, message) -> {
      if (exitCode == null) exitCode = code;
      throw new Exited();
    };
    Exit.setExitProcedure(remember);
    Exit.setHaltProcedure(remember);
    Exit.setShutdownHookAdder((name, hook) -> {});
    for (String line; (line = commands.readLine()) != null; ) {
      String[] words = Arrays.stream(line.split(" ", -1)).map(ToolRunner::decode).toArray(String[]::new);
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      ByteArrayOutputStream err = new ByteArrayOutputStream();
      System.setIn(new ByteArrayInputStream(words[0].getBytes()));
      System.setOut(new PrintStream(out, true));
      System.setErr(new PrintStream(err, true));
      exitCode = null;
      int code = run(words[1], Arrays.copyOfRange(words, 2, words.length));
      System.out.flush();
      System.err.flush();
      answers.println(code + " " + encode(out) + " " + encode(err));
      answers.flush();
    }
  }

  static int run(String name, String[] arguments) {
    try {
      Class.forName(name).getMethod("main", String[].class).invoke(null, (Object) arguments);
      return exitCode == null ? 0 : exitCode;
    } catch (InvocationTargetException thrown) {
      if (exitCode != null) return exitCode;
      thrown.getCause().printStackTrace();
      return 1;
    } catch (Throwable thrown) {
      thrown.printStackTrace();
      return 125;
    }
  }

  static String decode(String word) {
    return new String(Base64.getDecoder().decode(word));
  }

  static String encode(ByteArrayOutputStream bytes) {
    return "=" + Base64.getEncoder().encodeToString(bytes.toByteArray());
  }
}
