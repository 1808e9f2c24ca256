import java.io.File;
import org.codehaus.janino.Compiler;

/** Compiles a Java source into a folder of class files: {@code java … SimpleCompiler CompileFileSystem.java CompileFileSystem source folder}. */
public class CompileFileSystem {
    public static void main(String[] arguments) throws Exception {
        Compiler compiler = new Compiler();
        compiler.setClassPath(classPath(System.getProperty("java.class.path").split(File.pathSeparator)));
        compiler.setDestinationDirectory(new File(arguments[1]), false);
        compiler.compile(new File[] {new File(arguments[0])});
    }

    private static File[] classPath(String[] entries) {
        File[] files = new File[entries.length];
        for (int i = 0; i < entries.length; i++) {
            files[i] = new File(entries[i]);
        }
        return files;
    }
}
