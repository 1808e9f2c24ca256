package rheo.snippets

import java.io.{File, FileOutputStream, PrintStream}
import java.lang.reflect.InvocationTargetException
import java.net.{URL, URLClassLoader}
import java.util.{List => JavaList, Map => JavaMap}
import java.util.zip.ZipFile

import scala.collection.JavaConverters._
import scala.collection.mutable

import org.apache.spark.sql.{DataFrame, Dataset, SparkSession}

/** What the runner asks of the JVM that is up: compile a snippet, put jars on the class path, call a snippet. */
object Snippets {
  private val StackSize = 32L << 20 // the compiler is recursive: a long chain of calls needs a deep stack
  private val LongestUse = 100 // snippets

  private var compiler: Option[Compiler] = None
  private val classes = mutable.Map[String, Long]()
  private val loaded = mutable.Set[String]()

  /** Compiles a snippet into a jar; returns what is wrong with it, empty when the jar is there. */
  def compile(code: String, frame: String, libraries: JavaList[String], jar: String): String = {
    val classPath = (visible ++ libraries.asScala).mkString(File.pathSeparator)
    apart(compiled(code, frame, classPath, new File(jar)))
  }

  private def compiled(code: String, frame: String, classPath: String, jar: File): String = synchronized {
    val fit = compiler.filter(c => c.classPath == classPath && c.used < LongestUse)
    compiler = Some(fit.getOrElse(new Compiler(classPath)))
    try {
      compiler.get.compile(code, frame, jar)
    } catch {
      case error: Throwable =>
        compiler = None // in which state it is nobody knows
        throw error
    }
  }

  /** Runs it on a thread with a deep stack; the caller can be interrupted. */
  private def apart(work: => String): String = {
    var answer: Either[Throwable, String] = Left(new InterruptedException)
    val task = new Runnable {
      def run(): Unit = answer = try Right(work) catch { case error: Throwable => Left(error) }
    }
    val thread = new Thread(null, task, "rheo compiler", StackSize)
    thread.setDaemon(true)
    thread.start()
    thread.join()
    answer.fold(error => throw error, identity)
  }

  /** What code on this JVM can see: its own class path, and what was given to `spark-submit`. */
  private def visible: Seq[String] = {
    val added = loader match {
      case urls: URLClassLoader => urls.getURLs.toSeq.filter(_.getProtocol == "file").map(url => new File(url.toURI).getPath)
      case _ => Nil
    }
    val own = sys.props("java.class.path").split(File.pathSeparator).toSeq.filter(_.nonEmpty)
    own ++ added.filterNot(loaded)
  }

  /** Puts the jars on the class path of the driver and the executors.
    *
    * @return which class another jar already brought with other content, empty when all is well: one JVM has one class
    *         of a name
    */
  def load(spark: SparkSession, jars: JavaList[String]): String = synchronized {
    val fresh = jars.asScala.filterNot(loaded)
    val found = mutable.Map[String, Long]()
    fresh.foreach(jar => contents(jar).foreach { case (name, sum) => found.getOrElseUpdate(name, sum) })
    val other = found.collectFirst { case (name, sum) if classes.get(name).exists(_ != sum) && !isSparks(name) => name }
    if (other.isEmpty) {
      classes ++= found
      fresh.foreach { jar =>
        loaded += jar
        loader.getClass.getMethod("addURL", classOf[URL]).invoke(loader, new File(jar).toURI.toURL)
        // In local mode the executor's loader is a child of this one; a class that both loaded would be two.
        if (!spark.sparkContext.isLocal) spark.sparkContext.addJar(jar)
      }
    }
    other.getOrElse("")
  }

  private def loader: ClassLoader = getClass.getClassLoader

  private def isSparks(name: String): Boolean = loader.getParent.getResource(name) != null

  private def contents(jar: String): Seq[(String, Long)] = {
    val file = new ZipFile(jar)
    try {
      file.entries.asScala.filter(_.getName.endsWith(".class")).map(entry => entry.getName -> entry.getCrc).toList
    } finally {
      file.close()
    }
  }

  /** Calls a snippet's `run`; what it prints goes to the file.
    *
    * @throws NoTable its last expression is no table
    */
  def call(
      spark: SparkSession, name: String, inputs: JavaMap[String, DataFrame], texts: JavaMap[String, String],
      dimensions: JavaMap[String, String], args: JavaMap[String, String], platform: String, printed: String
  ): DataFrame = {
    val snippet = Class.forName(s"$name.Snippet$$", true, loader)
    val run = snippet.getMethods.find(_.getName == "run").get
    val maps = Seq(inputs, texts, dimensions, args).map(_.asScala.toMap)
    val arguments = (spark +: maps :+ platform).asInstanceOf[Seq[AnyRef]]
    val stream = new PrintStream(new FileOutputStream(printed, true), true, "UTF-8")
    try {
      noticed(spark) {
        Console.withOut(stream)(Console.withErr(stream)(table(run.invoke(snippet.getField("MODULE$").get(null), arguments: _*))))
      }
    } catch {
      case error: InvocationTargetException => throw error.getCause
    } finally {
      stream.close()
    }
  }

  /** Names this thread after its group of jobs, so that whoever cancels the group finds the thread, too. */
  private def noticed[T](spark: SparkSession)(work: => T): T = {
    val thread = Thread.currentThread
    val (before, under, active) = (thread.getName, thread.getContextClassLoader, SparkSession.getActiveSession)
    thread.setName(s"rheo snippet ${spark.sparkContext.getLocalProperty("spark.jobGroup.id")}")
    thread.setContextClassLoader(loader)
    SparkSession.setActiveSession(spark)
    try {
      work
    } finally {
      thread.setName(before)
      thread.setContextClassLoader(under)
      active.fold(SparkSession.clearActiveSession())(SparkSession.setActiveSession)
    }
  }

  private def table(value: Any): DataFrame = value match {
    case data: Dataset[_] => data.toDF()
    case null => throw new NoTable("null")
    case other => throw new NoTable(other.getClass.getName)
  }

  /** The line of the snippet in which the error, or what caused it, arose; 0 when none is known. */
  def line(error: Throwable): Int = causes(error).map(_.getStackTrace.find(isSnippets).fold(0)(_.getLineNumber)).filter(_ > 0).lastOption.getOrElse(0)

  /** The error and its causes with the user's own frames, without those of Spark, Scala and Java. */
  def told(error: Throwable): String =
    causes(error).map { cause =>
      val frames = cause.getStackTrace.filter(isUsers).map(frame => s"\n  at ${shown(frame)}").distinct
      s"${cause.getClass.getName}: ${Option(cause.getMessage).getOrElse("").split("\n").head}${frames.mkString}"
    }.mkString("\ncaused by ")

  private def causes(error: Throwable): List[Throwable] =
    Iterator.iterate(error)(_.getCause).takeWhile(_ != null).take(20).toList

  private def isSnippets(frame: StackTraceElement): Boolean =
    frame.getFileName == Compiler.Source && frame.getClassName.startsWith("rheo.node_")

  private val Machinery = Seq("java.", "javax.", "jdk.", "sun.", "scala.", "org.apache.spark.", "py4j.", "rheo.snippets.")

  private def isUsers(frame: StackTraceElement): Boolean =
    if (frame.getClassName.startsWith("rheo.node_")) isSnippets(frame) && frame.getLineNumber > 0
    else !Machinery.exists(frame.getClassName.startsWith)

  private def shown(frame: StackTraceElement): String =
    if (isSnippets(frame)) s"line ${frame.getLineNumber} of the snippet" else frame.toString
}

/** A snippet answered something that cannot be written. */
class NoTable(found: String) extends RuntimeException(found)
