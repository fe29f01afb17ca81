import { readFileSync } from "node:fs";
import {
  exitCodeOf,
  exitCodes,
  helpText,
  messageOf,
  resolveSettings,
  type ServerInvocation,
} from "@heddle/adapter-command";
import { InvalidArgumentError } from "@heddle/kernel";
import { Command, CommanderError, Option } from "commander";
import { parse as parseYaml } from "yaml";
import { addCerts } from "./certs.ts";
import { addressOf, build, givenAddress, programs, takeParentFd, upSettings } from "./config.ts";
import { addMaintenance } from "./maintenance.ts";
import { type OutputFormat, outputFormats } from "./output.ts";
import { addressOption, addTarget, type TargetOptions, targetOf } from "./targets.ts";

/** What a server's program offers: loaded only when it is run. */
interface ServerModule {
  readonly main: (invocation: ServerInvocation) => Promise<never>;
}

/** Runs `heddle ARGS...` as this process and sets its exit code. */
export async function main(args: readonly string[] = process.argv.slice(2)): Promise<void> {
  const parentFd = takeParentFd();
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(exitCodes.ok); // the reader has seen enough
    throw error;
  });
  try {
    await heddle(parentFd).parseAsync(args, { from: "user" });
  } catch (error) {
    process.exitCode = told(error);
  }
}

/** Says what went wrong, unless commander did. Gives the exit code. */
function told(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  console.error(`heddle: ${messageOf(error)}`);
  return exitCodeOf(error);
}

function heddle(parentFd: number | undefined): Command {
  const program = new Command("heddle")
    .description("Python's multiprocessing for TypeScript: runs and watches fabrics of workers.")
    .version(build(), "-V, --version")
    .enablePositionalOptions()
    .configureHelp({ subcommandTerm: (command) => `${command.name()} ${command.usage()}` })
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, "heddle: ")) })
    .exitOverride()
    .showHelpAfterError('Run "heddle --help" for what there is.')
    .addOption(addressOption());
  addServers(program, parentFd);
  addRun(program, parentFd);
  addQuestions(program);
  addMaintenance(program, print);
  addCerts(program, print);
  addToken(program);
  addHealth(program);
  return program;
}

/** Commands whose options are settings: they understand them, and their --help, themselves. */
function addServers(program: Command, parentFd: number | undefined): void {
  const server = (name: string, description: string, run: (args: readonly string[]) => Promise<unknown>): void => {
    program
      .command(name)
      .description(description)
      .usage("[options]")
      .helpOption(false)
      .allowUnknownOption()
      .passThroughOptions()
      .argument("[args...]")
      .addHelpText("after", `\nRun "heddle ${name} --help" for the options.`)
      .action(async (args: string[]) => {
        await run(args);
      });
  };
  const inherited = parentFd === undefined ? [] : ["--parent-fd", String(parentFd)];
  const become = (url: URL) => async (args: readonly string[]) => {
    const { main: serve }: ServerModule = await import(url.href);
    return serve({ args: [...args, ...inherited], parseFile: parseYaml });
  };
  server("up", "start a manager, a coordinator and agents on this machine; Ctrl-C stops them", (args) =>
    upCommand([...args, ...inherited]),
  );
  server("coordinator", "run a coordinator", become(programs.coordinator));
  server("manager", "run a manager, which keeps shared objects and locks", become(programs.manager));
  server("agent", "make this machine a node of a fabric", become(programs.agent));
}

async function upCommand(args: readonly string[]): Promise<void> {
  const summary =
    "Starts a manager (at a socket of its own, which the coordinator tells its clients), a coordinator and agents as child processes; Ctrl-C or " +
    "SIGTERM stops them all.";
  const readFile = (path: string): string => readFileSync(path, "utf8");
  const sources = { args, environment: process.env, readFile, parseFile: parseYaml };
  const resolution = hinting("up", () => resolveSettings(upSettings, sources));
  if (resolution.type === "help") {
    process.stdout.write(helpText("heddle up", summary, upSettings));
    return;
  }
  const { up } = await import("./up.ts");
  process.exit(await up(resolution.values));
}

/** Says where to read on when a command's own options are wrong. */
function hinting<T>(command: string, resolve: () => T): T {
  try {
    return resolve();
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
    throw new InvalidArgumentError(`${error.message}\nRun "heddle ${command} --help" for its options.`, {
      cause: error,
    });
  }
}

function addRun(program: Command, parentFd: number | undefined): void {
  addTarget(program.command("run"), "none: the script has a fabric of its own")
    .description("run a script with HEDDLE_ADDRESS set; it has a fabric of its own when there is no address")
    .argument("<file>", "a JavaScript or TypeScript module")
    .argument("[args...]", "its arguments")
    .passThroughOptions()
    .action(async (file: string, args: string[], _options: unknown, command: Command) => {
      const { runScript } = await import("./run-script.ts");
      const { address, ...tls } = optionsOf(command);
      await runScript({ file, args, address: givenAddress(address), tls, parentFd });
    });
}

function addQuestions(program: Command): void {
  const question = (nameAndArgs: string, description: string): Command =>
    addTarget(program.command(nameAndArgs))
      .description(description)
      .hook("preAction", () => void process.once("SIGINT", () => process.exit(exitCodes.interrupted)))
      .addOption(
        new Option("-o, --output <format>", "how to print the answer").choices(outputFormats).default("table"),
      );
  question("status", "show the fabric in a few numbers").action(async (_options: unknown, command: Command) => {
    const options = optionsOf(command);
    const { status } = await import("./questions.ts");
    await status(targetOf(options), options.output, print);
  });
  question("get <kind> [name]", "list nodes, jobs, objects, locks or sessions, or show one")
    .option("--no-headers", "leave out the headings")
    .option("-w, --watch", "go on and show changes")
    .addHelpText(
      "after",
      "\nExamples:\n  heddle get nodes\n  heddle get jobs -o wide\n  heddle get lock ledger -o json",
    )
    .action(async (kind: string, name: string | undefined, _options: unknown, command: Command) => {
      const { output, headers, watch, ...target } = optionsOf(command);
      const { get } = await import("./questions.ts");
      const options = { ...targetOf(target), output, headings: headers !== false, watch: watch === true };
      await get(kind, name, options, print);
    });
  addLockQuestions(question);
  question("version", "show the version of this command and of the coordinator").action(
    async (_options: unknown, command: Command) => {
      const options = optionsOf(command);
      const { version } = await import("./questions.ts");
      await version(targetOf(options), options.output, print);
    },
  );
}

/** What a user's own server and its clients know of each other. */
function addToken(program: Command): void {
  program
    .command("token")
    .description("print the secret by which this user's server knows its clients, for HEDDLE_TOKEN behind a tunnel")
    .addOption(addressOption())
    .action(async (_options: unknown, command: Command) => {
      const { token } = await import("./token.ts");
      token(addressOf(optionsOf(command).address), print);
    });
}

/** For probes and container engines, which look at the exit code. */
function addHealth(program: Command): void {
  addTarget(program.command("health"))
    .description("ask one server whether it lives: 0 when it does")
    .option("--http <address>", "its HTTP address (default: HEDDLE_HTTP; without one it is asked over gRPC)")
    .option("--ready", "whether it is ready, which a server that drains is not: over HTTP alone")
    .option("--timeout-ms <ms>", "how long the answer may take", "5000")
    .action(async (_options: unknown, command: Command) => {
      const { ready = false, ...options } = command.optsWithGlobals<
        TargetOptions & { readonly http?: string; readonly ready?: boolean; readonly timeoutMs: string }
      >();
      const { health } = await import("./health.ts");
      await health({ ...options, ready }, print);
    });
}

/** What asks about one shared object; a name is an object's name, its id or the beginning of that. */
function addLockQuestions(question: (nameAndArgs: string, description: string) => Command): void {
  const subject = (word: string, name: string, command: Command) => {
    const options = optionsOf(command);
    return { ...targetOf(options), output: options.output, word, name };
  };
  question("describe <kind> <name>", "show all about a node, a job, an object or a lock").action(
    async (kind: string, name: string, _options: unknown, command: Command) => {
      const { describe } = await import("./lock-questions.ts");
      await describe(subject(kind, name, command), print);
    },
  );
  question(
    "why <kind> <name>",
    "say why a job, or a chunk or an item of it (JOB/N), is where it is, or why a lock is not free",
  ).action(async (kind: string, name: string, _options: unknown, command: Command) => {
    const { why } = await import("./lock-questions.ts");
    await why(subject(kind, name, command), print);
  });
  question("break <kind> <name>", "take a lock from its holder, as if that had died: the next one gets it")
    .option("--reason <text>", "why, for those who look at the lock later")
    .action(async (kind: string, name: string, _options: unknown, command: Command) => {
      const { breakLock } = await import("./lock-questions.ts");
      await breakLock(subject(kind, name, command), optionsOf(command).reason ?? "", print);
    });
}

interface Options extends TargetOptions {
  readonly output: OutputFormat;
  readonly headers?: boolean;
  readonly watch?: boolean;
  readonly reason?: string;
}

function optionsOf(command: Command): Options {
  return command.optsWithGlobals<Options>();
}

function print(text: string): void {
  process.stdout.write(text);
}

if (import.meta.main) await main();
