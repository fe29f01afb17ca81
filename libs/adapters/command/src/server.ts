import { readFileSync } from "node:fs";
import { type Logger, UnavailableError } from "@heddle/kernel";
import { removeAddressFile, type ServerFacts, writeAddressFile } from "./address-file.ts";
import { exitCodeOf, exitCodes, messageOf } from "./exit-codes.ts";
import { helpText } from "./help.ts";
import { ParentLink } from "./parent-link.ts";
import { countBuffersAsHeap } from "./relay-memory.ts";
import { count, text } from "./setting.ts";
import { resolveSettings, type SettingTable } from "./settings.ts";
import { onStopSignals, type StopSignal, signalExitCode } from "./stop-signals.ts";

/** How long releasing everything may take when nobody is left to wait for it. */
const ABANDON_MS = 2_000;
/** How long releasing everything may take after a polite stop. */
const RELEASE_MS = 10_000;

/** The settings that every server has. */
export const serverSettings = {
  addressFile: text("PATH", "write what others need to know of this server to this file once it serves", undefined),
  http: text(
    "ADDRESS",
    "serve /healthz, /readyz and /metrics here, in plain HTTP and to whoever can connect: HOST:PORT (0 picks a free one); without it nowhere",
    undefined,
  ),
  drainMs: count("MS", "how long SIGTERM waits for running work", 20_000, { min: 0, max: 86_400_000 }),
  /** Descriptor of a pipe whose other end the parent holds: this server ends with it. */
  parentFd: count("FD", undefined, undefined, { min: 3, max: 65_535 }),
};

/** Their values. */
export interface ServerValues {
  readonly addressFile: string | undefined;
  readonly http: string | undefined;
  readonly drainMs: number;
  readonly parentFd: number | undefined;
}

/** A server process, before it runs. */
export interface ServerProgram<T extends ServerValues> {
  /** One word, such as "agent": `heddle agent` runs it. */
  readonly name: string;
  /** For the help. */
  readonly summary: string;
  readonly settings: SettingTable<T>;
  /** Begins to serve. Rejects when it cannot. */
  readonly start: (values: T) => Promise<RunningServer>;
}

/**
 * Until when a server is stopped: "next" is started in its place, sooner or later, which whoever needs it waits for; or for good. Only `heddle up` says so, as Ctrl-C ends it, and what it
 * has started with it.
 */
type StopUntil = "next" | "for-good";

/** A server that runs. Disposing releases everything at once. */
export interface RunningServer extends AsyncDisposable {
  readonly log: Logger;
  /** Resolves when it serves: what to print, and what to tell those who wait for it. */
  readonly serving: Promise<{ readonly line: string; readonly facts: ServerFacts }>;
  /** Resolves when it is over without having been stopped: why. */
  readonly ended: Promise<string>;
  /** The exit code of a server that is over so; that of an error unless given. */
  readonly endedExitCode?: number;
  /** Ends its work politely, in bounded time. */
  readonly stop: (until: StopUntil) => Promise<void>;
}

/** What a server process is started with. */
export interface ServerInvocation {
  readonly args: readonly string[];
  /** Understands a config file. */
  readonly parseFile: (content: string) => unknown;
}

/** Runs a server as this process, from its settings to its exit; the process ends in it. */
export async function runServer<T extends ServerValues>(
  program: ServerProgram<T>,
  invocation: ServerInvocation,
): Promise<never> {
  const { name } = program;
  const values = valuesOf(program, invocation);
  countBuffersAsHeap();
  const stopping = Promise.withResolvers<StopSignal>();
  const gone = values.parentFd === undefined ? undefined : new ParentLink(values.parentFd);
  onStopSignals({ first: stopping.resolve, again: (signal) => process.exit(signalExitCode(signal)) });
  setInterval(() => undefined, 0x7fff_ffff); // a server without connections is no reason to end
  if (values.addressFile !== undefined) removeAddressFile(values.addressFile);
  let server: RunningServer;
  try {
    server = await program.start(values);
  } catch (error) {
    return fail(name, error);
  }
  process.on("uncaughtException", (error) => {
    server.log.error("uncaught error: this is a defect of Heddle", { stack: error?.stack ?? String(error) });
    process.exit(exitCodes.internal);
  });
  void announce(server, name, values.addressFile, gone);
  const reason = await Promise.race([
    stopping.promise.then((signal) => ({ type: "signal", signal }) as const),
    server.ended.then((why) => ({ type: "ended", why }) as const),
    ...(gone === undefined ? [] : [gone.gone.then(() => ({ type: "orphaned" }) as const)]),
  ]);
  switch (reason.type) {
    case "signal":
      server.log.info("stopping", { signal: reason.signal });
      await Promise.race([
        server.stop(stopUntil(reason.signal, gone)),
        gone?.gone ?? new Promise<never>(() => undefined),
      ]);
      await within(RELEASE_MS, server[Symbol.asyncDispose]());
      return process.exit(exitCodes.ok);
    case "ended":
      console.error(`${name}: ${reason.why}`);
      await within(RELEASE_MS, server[Symbol.asyncDispose]());
      return process.exit(server.endedExitCode ?? exitCodes.error);
    case "orphaned":
      server.log.info("ending at once: the process that started this server is gone");
      await within(ABANDON_MS, server[Symbol.asyncDispose]());
      return process.exit(exitCodes.error);
  }
}

/** A server that has been started by hand may be started so again, also one that was stopped by Ctrl-C. */
function stopUntil(signal: StopSignal, parent: ParentLink | undefined): StopUntil {
  return parent !== undefined && signal === "SIGINT" ? "for-good" : "next";
}

/** The settings; prints the help, or what is wrong with them, and exits. */
function valuesOf<T extends ServerValues>(program: ServerProgram<T>, invocation: ServerInvocation): T {
  const { name, summary, settings } = program;
  try {
    const readFile = (path: string): string => readFileSync(path, "utf8");
    const resolution = resolveSettings<T>(settings, { ...invocation, environment: process.env, readFile });
    if (resolution.type === "values") return resolution.values;
  } catch (error) {
    console.error(`${name}: ${messageOf(error)}\nRun "heddle ${name} --help" for its options.`);
    return process.exit(exitCodeOf(error));
  }
  process.stdout.write(helpText(`heddle ${name}`, summary, settings));
  return process.exit(exitCodes.ok);
}

async function announce(server: RunningServer, name: string, addressFile: string | undefined, parent?: ParentLink) {
  const { line, facts } = await server.serving;
  try {
    if (addressFile !== undefined) writeAddressFile(addressFile, facts);
  } catch (error) {
    console.error(`${name}: cannot write --address-file: ${messageOf(error)}`);
    await within(ABANDON_MS, server[Symbol.asyncDispose]());
    process.exit(exitCodes.error);
  }
  console.log(line);
  parent?.tell(facts);
}

/** A server that cannot start: what the user asked for cannot be, or it did not work. */
function fail(name: string, error: unknown): never {
  console.error(`${name}: ${messageOf(error)}`);
  const code = exitCodeOf(error);
  return process.exit(code === exitCodes.usage || code === exitCodes.denied ? exitCodes.usage : exitCodes.error);
}

/** For an address that cannot be served: says what to do when another has it. Rethrows whatever it is. */
export function adviseOnAddress(error: unknown): never {
  if (!(error instanceof UnavailableError && /already/.test(error.message))) throw error;
  const advice = "choose another --listen, 127.0.0.1:0 picks a free port";
  throw new UnavailableError(`${error.message}: ${advice}`, { cause: error });
}

/** Waits for `work`, but not longer than `ms`; a failure of it is told and no reason to stay. */
async function within(ms: number, work: PromiseLike<void>): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  await Promise.race([late, Promise.resolve(work).catch((error: unknown) => console.error(messageOf(error)))]);
  clearTimeout(timer);
}
