import java.io.File;
import org.codehaus.janino.Compiler;

/** Compiles Java sources into a folder of class files: {@code java … SimpleCompiler CompileFileSystem.java CompileFileSystem folder source…}. */
public class CompileFileSystem {
    public static void main(String[] arguments) throws Exception {
        Compiler compiler = new Compiler();
        compiler.setClassPath(classPath(System.getProperty("java.class.path").split(File.pathSeparator)));
        compiler.setDestinationDirectory(new File(arguments[0]), false);
        File[] sources = new File[arguments.length - 1];
        for (int i = 0; i < sources.length; i++) {
            sources[i] = new File(arguments[i + 1]);
        }
        compiler.compile(sources);
    }

    private static File[] classPath(String[] entries) {
        File[] files = new File[entries.length];
        for (int i = 0; i < entries.length; i++) {
            files[i] = new File(entries[i]);
        }
        return files;
    }
}
