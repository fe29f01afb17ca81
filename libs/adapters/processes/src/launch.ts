import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

/** Names the worker in its own environment and in that of whatever it starts: AGENTCOOKIE.NUMBER. */
export const COOKIE_VARIABLE = "HEDDLE_WORKER_COOKIE";

export interface LaunchOptions {
  /** The Node.js to run. */
  readonly execPath: string;
  /** The worker's module. From source (.ts), workspace packages resolve to their sources, too. */
  readonly workerEntry: URL;
  /** Further options for Node. */
  readonly execArgv: readonly string[];
  /** Heap limit of a worker. */
  readonly maxOldSpaceMb?: number | undefined;
  /** `setpriv` can make the worker die with the thread that started it. */
  readonly hasPdeathsig: boolean;
}

/** What to execute for a worker. */
export function workerCommand(options: LaunchOptions): { readonly command: string; readonly args: readonly string[] } {
  const entry = fileURLToPath(options.workerEntry);
  const node = [
    ...(entry.endsWith(".ts") ? ["--conditions=@heddle/source"] : []),
    "--enable-source-maps",
    ...(options.maxOldSpaceMb === undefined ? [] : [`--max-old-space-size=${options.maxOldSpaceMb}`]),
    ...options.execArgv,
    entry,
  ];
  if (!options.hasPdeathsig) return { command: options.execPath, args: node };
  return { command: "setpriv", args: ["--pdeathsig", "KILL", "--", options.execPath, ...node] };
}

/**
 * The environment of a worker: the agent's own and what `extra` sets, without anything of Heddle's (addresses, tokens, keys),
 * without Node's plumbing to the agent's own parent, and without an inspector, which only one process can have.
 */
export function workerEnvironment(
  base: NodeJS.ProcessEnv,
  extra: Readonly<Record<string, string | undefined>>,
  cookie: string,
): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const [name, value] of Object.entries({ ...base, ...extra })) {
    if (value !== undefined && !/^HEDDLE_|^NODE_(CHANNEL_|UNIQUE_ID$)/.test(name)) environment[name] = value;
  }
  const options = environment.NODE_OPTIONS;
  if (options !== undefined) environment.NODE_OPTIONS = withoutInspector(options);
  environment[COOKIE_VARIABLE] = cookie;
  return environment;
}

function withoutInspector(options: string): string {
  return options
    .split(" ")
    .filter((option) => !/^--inspect/.test(option))
    .join(" ");
}

/** Whether `setpriv --pdeathsig` is there: util-linux has it, BusyBox's has not. */
export function probePdeathsig(): boolean {
  if (process.platform !== "linux") return false;
  return spawnSync("setpriv", ["--pdeathsig", "KILL", "--", "true"], { stdio: "ignore", timeout: 2_000 }).status === 0;
}
