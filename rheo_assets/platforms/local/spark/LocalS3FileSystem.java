package rheo.local;

import java.io.File;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.net.URI;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RawLocalFileSystem;
import org.apache.hadoop.fs.permission.FsPermission;
import org.apache.hadoop.security.AccessControlException;
import org.apache.hadoop.util.Progressable;
import org.apache.spark.SparkContext;
import org.apache.spark.SparkContext$;
import org.apache.spark.TaskContext;

/**
 * Serves s3://, s3a:// and s3n:// from plain folders: s3://bucket/key is ROOT/s3/bucket/key, where ROOT is
 * fs.rheo.root of the running task, else of the session.
 *
 * Compiled at first use by janino, which Spark ships: no generics, lambdas or other Java 8 syntax beyond what it knows.
 */
public class LocalS3FileSystem extends FileSystem {
    /** A task may write only below these folders (URIs, one a line); not set outside a node's task. */
    static final String WRITABLE = "rheo.writable";

    /**
     * The root that a task works on, where one JVM serves several. A session sets it both ways: Spark reads the footers
     * of parquet in threads that know the session's settings but no task, and RDDs know the task but not the settings.
     */
    static final String ROOT = "fs.rheo.root";

    private final RawLocalFileSystem disk = new RawLocalFileSystem();
    private URI uri;
    private File base;
    private Path workingDirectory;

    public void initialize(URI name, Configuration conf) throws IOException {
        super.initialize(name, conf);
        String root = conf.get(ROOT);
        if (root == null) {
            throw new IOException(ROOT + " is not set: it names the folder that holds the local buckets");
        }
        this.disk.initialize(URI.create("file:///"), conf);
        this.base = new File(root, "s3");
        this.uri = URI.create(name.getScheme() + "://" + name.getAuthority());
        this.workingDirectory = new Path(this.uri.toString() + "/");
        setConf(conf);
    }

    public String getScheme() {
        return this.uri == null ? "s3" : this.uri.getScheme();
    }

    public URI getUri() {
        return this.uri;
    }

    public Path getWorkingDirectory() {
        return this.workingDirectory;
    }

    public void setWorkingDirectory(Path directory) {
        this.workingDirectory = makeQualified(directory);
    }

    public FSDataInputStream open(Path path, int bufferSize) throws IOException {
        return this.disk.open(onDisk(path), bufferSize);
    }

    public FSDataOutputStream create(Path path, FsPermission permission, boolean overwrite, int bufferSize,
            short replication, long blockSize, Progressable progress) throws IOException {
        // Without the permission: the local file system would start a chmod process for every file.
        return this.disk.create(toWrite(path), overwrite, bufferSize, replication, blockSize, progress);
    }

    public FSDataOutputStream append(Path path, int bufferSize, Progressable progress) throws IOException {
        return this.disk.append(toWrite(path), bufferSize, progress);
    }

    public boolean rename(Path source, Path target) throws IOException {
        Path to = toWrite(target);
        new File(to.toUri().getPath()).getParentFile().mkdirs();
        return this.disk.rename(toWrite(source), to);
    }

    public boolean delete(Path path, boolean recursive) throws IOException {
        return this.disk.delete(toWrite(path), recursive);
    }

    public boolean mkdirs(Path path, FsPermission permission) throws IOException {
        File folder = file(path);
        return folder.isDirectory() || new File(toWrite(path).toUri().getPath()).mkdirs() || folder.isDirectory();
    }

    public FileStatus getFileStatus(Path path) throws IOException {
        File file = file(path);
        if (!file.exists()) {
            throw new FileNotFoundException("there is no object " + makeQualified(path));
        }
        return status(file, makeQualified(path));
    }

    public FileStatus[] listStatus(Path path) throws IOException {
        File file = file(path);
        if (!file.exists()) {
            throw new FileNotFoundException("there is no object " + makeQualified(path));
        }
        Path qualified = makeQualified(path);
        File[] children = file.listFiles();
        if (children == null) {
            return new FileStatus[] {status(file, qualified)};
        }
        FileStatus[] found = new FileStatus[children.length];
        for (int i = 0; i < children.length; i++) {
            found[i] = status(children[i], new Path(qualified, new Path(null, null, children[i].getName())));
        }
        return found;
    }

    private FileStatus status(File file, Path path) {
        boolean folder = file.isDirectory();
        return new FileStatus(folder ? 0 : file.length(), folder, 1, getDefaultBlockSize(path), file.lastModified(), path);
    }

    private Path onDisk(Path path) throws IOException {
        return new Path("file", null, file(path).getPath());
    }

    private Path toWrite(Path path) throws IOException {
        String writable = property(WRITABLE);
        if (writable != null) {
            String key = file(path).getPath();
            boolean inside = false;
            String[] folders = writable.split("\n");
            for (int i = 0; i < folders.length; i++) {
                URI folderUri = new Path(folders[i]).toUri(); // its bucket may be another than this file system's
                String folder = new File(base(), folderUri.getAuthority() + folderUri.getPath()).getPath();
                inside = inside || key.equals(folder) || key.startsWith(folder + "/");
            }
            if (!inside) {
                throw new AccessControlException(
                    makeQualified(path) + " is not where the node may write");
            }
        }
        return onDisk(path);
    }

    private static String property(String name) {
        TaskContext task = TaskContext.get();
        if (task != null) {
            return task.getLocalProperty(name);
        }
        scala.Option context = SparkContext$.MODULE$.getActive(); // private to Spark in Scala, public in Java
        return context.isEmpty() ? null : ((SparkContext) context.get()).getLocalProperty(name);
    }

    private File base() {
        String root = property(ROOT);
        return root == null ? this.base : new File(root, "s3");
    }

    /** Where the object lies; refuses a bucket that does not exist and every path that leads outside the root. */
    private File file(Path path) throws IOException {
        Path qualified = makeQualified(path);
        String bucket = qualified.toUri().getAuthority();
        String key = qualified.toUri().getPath();
        if (bucket == null || bucket.isEmpty() || bucket.startsWith(".") || bucket.indexOf('\\') >= 0) {
            throw new IOException("not a bucket's name: " + qualified);
        }
        File base = base();
        File folder = new File(base, bucket);
        if (!folder.isDirectory()) {
            throw new FileNotFoundException("NoSuchBucket: s3://" + bucket + " does not exist; asked for " + qualified);
        }
        String[] parts = key.split("/");
        for (int i = 0; i < parts.length; i++) {
            if (parts[i].equals("..") || parts[i].equals(".") || parts[i].indexOf('\\') >= 0 || parts[i].indexOf(0) >= 0) {
                throw new IOException("'" + parts[i] + "' would lead outside the storage root: " + qualified);
            }
        }
        File file = new File(folder.getPath() + key);
        if (!file.getCanonicalPath().startsWith(base.getCanonicalPath() + File.separator)) {
            throw new IOException("a symbolic link leads outside the storage root: " + qualified);
        }
        return file;
    }
}
