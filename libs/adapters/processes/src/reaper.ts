import { type ChildProcess, spawn } from "node:child_process";
import type { Logger } from "@heddle/kernel";
import { COOKIE_VARIABLE } from "./launch.ts";
import { REAPER_RESTARTS_MAX } from "./limits.ts";
import { unrefStream } from "./streams.ts";

/**
 * The last one standing. It reads "+GROUP" and "-GROUP" from a pipe whose only writer is the agent; "q" ends it. When the pipe
 * closes without that, the agent is dead: it kills the groups, then whatever carries the agent's cookie, until nothing is found.
 * Not every grep sees past the first NUL of an environment (BusyBox's does not), hence the probe and the slow way round.
 */
const SCRIPT = `
trap '' HUP INT QUIT TERM USR1 USR2 PIPE
groups=' '
while read -r line; do
  case $line in
    +*) groups="$groups\${line#+} " ;;
    -*) gone=\${line#-}
        case $groups in *" $gone "*) groups="\${groups%%" $gone "*} \${groups#*" $gone "}" ;; esac ;;
    q) exit 0 ;;
  esac
done
for group in $groups; do kill -KILL -- "-$group"; done
needle="${COOKIE_VARIABLE}=$HEDDLE_REAPER."
carriers() {
  if grep -qsF "HEDDLE_REAPER=$HEDDLE_REAPER" /proc/$$/environ; then
    grep -lsF "$needle" /proc/[0-9]*/environ
  else
    for file in /proc/[0-9]*/environ; do
      while IFS= read -r text || [ -n "$text" ]; do
        case $text in *"$needle"*) echo "$file"; break ;; esac
      done < "$file"
    done
  fi
}
pass=0
while [ $pass -lt 60 ]; do
  found=$(carriers)
  [ -z "$found" ] && exit 0
  for file in $found; do pid=\${file#/proc/}; kill -KILL "\${pid%/environ}"; done
  pass=$((pass + 1))
  sleep 0.05 || sleep 1
done
`;

/** The agent's hold on its reaper. Start it before the first worker. */
export class Reaper {
  readonly #cookie: string;
  readonly #log: Logger;
  readonly #groups = new Set<number>();
  #process: ChildProcess | undefined;
  #restarts = 0;
  #ended: Promise<void> = Promise.resolve();
  #isQuitting = false;

  constructor(agentCookie: string, log: Logger) {
    this.#cookie = agentCookie;
    this.#log = log;
    this.#start();
  }

  /** Its process id; 0 when there is none. */
  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  /** A process group to kill when this process dies. */
  add(group: number): void {
    this.#groups.add(group);
    this.#write(`+${group}\n`);
  }

  /** The group is gone, and its number may become somebody else's. */
  remove(group: number): void {
    if (this.#groups.delete(group)) this.#write(`-${group}\n`);
  }

  /** Ends it: everything it watched over is gone. */
  quit(): Promise<void> {
    this.#isQuitting = true;
    this.#write("q\n");
    this.#process?.ref();
    return this.#ended;
  }

  #start(): void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#ended = promise;
    const gone = (why: string): void => {
      resolve();
      this.#process = undefined;
      if (!this.#isQuitting) this.#restart(why);
    };
    try {
      // The script is not an argument: a list of processes should stay readable.
      const child = spawn("/bin/sh", ["-c", 'eval "$HEDDLE_REAPER_SCRIPT"', "heddle-reaper"], {
        cwd: "/",
        detached: true, // a session of its own: Ctrl-C and the agent's group signals do not reach it
        env: {
          PATH: process.env.PATH ?? "/usr/bin:/bin",
          HEDDLE_REAPER: this.#cookie,
          HEDDLE_REAPER_SCRIPT: SCRIPT,
        },
        stdio: ["pipe", "ignore", "ignore"],
      });
      this.#process = child;
      child.once("error", (error) => gone(error.message)); // it never started: no exit follows
      child.once("exit", (code, signal) => gone(`it ended with ${signal ?? code}`));
      child.stdin.on("error", () => undefined); // its exit says it
      unrefStream(child.stdin);
      child.unref();
    } catch (error) {
      queueMicrotask(() => gone(String(error)));
    }
  }

  #restart(why: string): void {
    if (this.#restarts++ >= REAPER_RESTARTS_MAX) {
      this.#log.error("no reaper: workers may outlive this process if it is killed", { why });
      return;
    }
    this.#log.warn("the reaper is gone, starting another", { why });
    this.#start();
    for (const group of this.#groups) this.#write(`+${group}\n`);
  }

  #write(line: string): void {
    const stdin = this.#process?.stdin;
    if (stdin?.writable) stdin.write(line);
  }
}
