import com.pixelmed.validate.DicomSRValidator;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;

/** Validates the structured reports whose paths come one a line on standard input, all in one virtual machine. */
public final class SrJudge {
    public static void main(String[] arguments) throws Exception {
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        DicomSRValidator validator = new DicomSRValidator();
        for (String path; (path = in.readLine()) != null; ) {
            out.println("FILE " + path);
            try {
                out.println(validator.validate(path));
            } catch (Exception failure) {
                out.println("Error: not validated: " + failure);
            }
        }
    }
}
