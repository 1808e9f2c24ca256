package rheo.snippets

import java.io.{File, FileOutputStream}
import java.nio.file.{Files, StandardCopyOption}
import java.util.jar.{JarEntry, JarOutputStream}

import scala.collection.mutable
import scala.reflect.internal.util.{BatchSourceFile, Position}
import scala.reflect.io.{AbstractFile, VirtualDirectory}
import scala.tools.nsc.{Global, Settings}
import scala.tools.nsc.plugins.{Plugin, PluginComponent}
import scala.tools.nsc.reporters.StoreReporter

/** Compiles snippets, one at a time; kept between them, because a warm compiler is ten times as fast.
  *
  * The snippet is a source of its own, so that every line and column is the user's. Its tree takes the place of
  * `rheo_code` in the frame, which declares the names that the snippet sees.
  */
private[snippets] class Compiler(val classPath: String) {
  private val output = new VirtualDirectory("(memory)", None)
  private val settings = new Settings()
  settings.classpath.value = classPath
  settings.nowarn.value = true
  settings.outputDirs.setSingleOutput(output)
  private val reporter = new StoreReporter()
  private val global: Global = new Global(settings, reporter) {
    override protected def loadRoughPluginsList: List[Plugin] = List(new Rules(this))
  }

  import global._

  /** How many snippets it has compiled: each leaves a little behind. */
  var used = 0

  /** Compiles a snippet into a jar; returns what is wrong with it, empty when the jar is there. */
  def compile(code: String, frame: String, jar: File): String = {
    used += 1
    reporter.reset()
    output.clear()
    val run = new Run
    val source = new BatchSourceFile(Compiler.Source, code)
    val unit = new CompilationUnit(source)
    val statements = newUnitParser(unit).parseRule(_.blockStatSeq())
    if (!reporter.hasErrors) {
      endsWithValue(statements, source)
    }
    if (!reporter.hasErrors) {
      unit.body = new Framed(statements).transform(parsed(frame))
      run.compileUnits(List(unit), run.namerPhase)
    }
    val wrong = told
    if (wrong.isEmpty) {
      Compiler.pack(output, jar)
    }
    wrong
  }

  private def parsed(text: String): Tree =
    newUnitParser(new CompilationUnit(new BatchSourceFile("frame.scala", text))).parse()

  private def endsWithValue(statements: List[Tree], source: BatchSourceFile): Unit =
    statements.lastOption match {
      case Some(last) if last.isTerm && last != EmptyTree => ()
      case Some(last) =>
        reporter.error(last.pos, "the snippet ends with a definition; end it with the DataFrame to be written")
      case None =>
        reporter.error(source.position(0), "the snippet is empty; end it with the DataFrame to be written")
    }

  /** Puts the snippet into its frame: classes and objects that use no local name become members of the frame's object
    * (only there Spark finds encoders for them), everything else stays in the method.
    */
  private class Framed(statements: List[Tree]) extends Transformer {
    private val locals = {
      val names = mutable.Set[String]()
      statements.foreach {
        case definition: ValOrDefDef => names += definition.name.toString.trim
        case definition: TypeDef => names += definition.name.toString
        case _ =>
      }
      names
    }

    override def transform(tree: Tree): Tree = tree match {
      case Ident(name) if name.toString == "rheo_code" => Block(kept.init, kept.last)
      case Template(parents, self, members) =>
        members.foreach {
          case method: DefDef => Framed.this.locals ++= method.vparamss.flatten.map(_.name.toString)
          case _ =>
        }
        members.collect { case DefDef(_, _, _, _, _, Block(stats, _)) => stats }.flatten.foreach {
          case value: ValDef => Framed.this.locals += value.name.toString.trim
          case _ =>
        }
        val moved = hoisted
        val imports = if (moved.isEmpty) Nil else statements.collect { case i: Import if isOutside(i) => i.duplicate }
        treeCopy.Template(tree, parents, self, imports ++ moved ++ members.map(transform(_)))
      case _ => super.transform(tree)
    }

    private def kept: List[Tree] = statements.filterNot(hoisted.contains)

    private lazy val hoisted: List[Tree] = {
      var candidates = statements.collect { case c: ImplDef => c: ImplDef }
      var changed = true
      while (changed) {
        val (free, bound) = candidates.partition(isFree)
        val names = bound.map(_.name.toString).toSet
        val (gone, stay) = free.partition(c => names.contains(c.name.toString)) // a companion goes with its class
        (bound ++ gone).foreach(c => locals += c.name.toString)
        changed = stay.size < candidates.size
        candidates = stay
      }
      candidates
    }

    private def isFree(definition: ImplDef): Boolean = {
      val own = definition.impl.body.collect { case member: MemberDef => member.name.toString.trim }.toSet
      !definition.exists {
        case Ident(name) => locals.contains(name.toString) && !own.contains(name.toString)
        case _ => false
      }
    }

    private def isOutside(found: Import): Boolean = !found.expr.exists {
      case Ident(name) => locals.contains(name.toString)
      case _ => false
    }
  }

  private def told: String = {
    val errors = reporter.infos.toList.filter(_.severity.toString == "ERROR")
    errors.map(info => Compiler.shown(info.pos, info.msg)).distinct.mkString("\n\n")
  }
}

private[snippets] object Compiler {

  /** The name of every snippet's source: what a snippet compiles to does not depend on the node. */
  val Source = "snippet.scala"

  private def shown(at: Position, text: String): String =
    if (!at.isDefined || at.source.file.name != Source) {
      text
    } else {
      val line = at.lineContent
      val margin = line.take(at.column - 1).map(c => if (c == '\t') '\t' else ' ')
      s"line ${at.line}, column ${at.column}: $text\n  $line\n  $margin^"
    }

  private def pack(folder: AbstractFile, jar: File): Unit = {
    val fresh = File.createTempFile("snippet", ".tmp", jar.getParentFile)
    val stream = new JarOutputStream(new FileOutputStream(fresh))
    try {
      add(folder, "", stream)
    } finally {
      stream.close()
    }
    Files.move(fresh.toPath, jar.toPath, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING)
  }

  private def add(folder: AbstractFile, path: String, stream: JarOutputStream): Unit =
    folder.foreach { file =>
      if (file.isDirectory) {
        add(file, s"$path${file.name}/", stream)
      } else {
        stream.putNextEntry(new JarEntry(path + file.name))
        stream.write(file.toByteArray)
        stream.closeEntry()
      }
    }
}

/** Refuses, once types are known, what would take down more than the snippet, and a last expression that is no table. */
private class Rules(val global: Global) extends Plugin {
  val name = "rheo"
  val description = "rules of a node's snippet"
  val components: List[PluginComponent] = List(component)

  private object component extends PluginComponent {
    val global: Rules.this.global.type = Rules.this.global
    val phaseName = "rheo"
    val runsAfter = List("typer")

    import global._

    private val exits = Set(
      "scala.sys.exit", "java.lang.System.exit", "java.lang.Runtime.exit", "java.lang.Runtime.halt")
    private val stops = Set(
      "org.apache.spark.sql.SparkSession.stop", "org.apache.spark.sql.SparkSession.close",
      "org.apache.spark.SparkContext.stop")

    def newPhase(previous: scala.tools.nsc.Phase): StdPhase = new StdPhase(previous) {
      def apply(unit: CompilationUnit): Unit = unit.body.foreach {
        case Apply(called, List(value)) if called.symbol != null && called.symbol.name.toString == "rheo_output" =>
          checkTable(value)
        case tree: RefTree if tree.symbol != null => checkCall(tree)
        case _ =>
      }
    }

    private def checkCall(tree: Tree): Unit = {
      val called = tree.symbol.fullName.replace("`package`.", "").replace("package.", "")
      if (exits(called)) {
        global.reporter.error(tree.pos,
          s"$called would end the JVM that runs other nodes, too; end with the DataFrame, or throw an exception to fail")
      } else if (stops(called)) {
        global.reporter.error(tree.pos, s"$called would stop the session of other nodes, too; leave it out")
      }
    }

    private def checkTable(value: Tree): Unit = {
      val found = value.tpe.widen
      val table = rootMirror.getRequiredClass("org.apache.spark.sql.Dataset")
      val possible = found.baseClasses.contains(table) || table.toType.baseClasses.contains(found.typeSymbol) ||
        found.typeSymbol.isAbstractType || found =:= definitions.NothingTpe
      if (!possible) {
        val last = value match {
          case Block(_, expression) => expression
          case expression => expression
        }
        global.reporter.error(last.pos, s"the last expression is of type $found; it must be a DataFrame (or a Dataset)")
      }
    }
  }
}
