package rheo.local;

import java.security.Permission;

/**
 * Keeps the code of a node from ending the JVM that runs other nodes, too: System.exit and Runtime.halt are for Spark
 * and Java alone. Everything else is allowed.
 */
public class NoExit extends SecurityManager {
    public void checkPermission(Permission permission) {
        if (permission.getName().startsWith("exitVM")) {
            refuse();
        }
    }

    public void checkPermission(Permission permission, Object context) {
    }

    private void refuse() {
        StackTraceElement[] frames = new Throwable().getStackTrace();
        for (int i = 0; i < frames.length; i++) {
            String caller = frames[i].getClassName();
            boolean between = caller.equals("rheo.local.NoExit") || caller.startsWith("java.lang.")
                || caller.startsWith("scala.sys.") || caller.startsWith("jdk.internal.") || caller.startsWith("sun.reflect.");
            if (!between) {
                if (!caller.startsWith("org.apache.") && !caller.startsWith("java.")) {
                    throw new SecurityException(caller + " wants to end the JVM that runs other nodes, too; "
                        + "return the DataFrame, or throw an exception to fail");
                }
                return;
            }
        }
    }
}
