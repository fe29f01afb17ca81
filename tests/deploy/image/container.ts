import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildah, IMAGE, imageConfig } from "./engine.ts";

/** How a container is run. */
export interface ContainerOptions {
  /** Of the image's command. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Directories of this machine, by where they are in the container. */
  readonly mounts?: Readonly<Record<string, { readonly from: string; readonly isReadOnly: boolean }>>;
  /** Cores that it may use at most. */
  readonly cpus: number;
  readonly memoryMiB: number;
  /** The program and its arguments that run the rest as a command in the network of the container. */
  readonly within: readonly [string, ...string[]];
}

/** How a program ended, and what it said. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * The image, run by runc as a hardened pod would be: by its own user, with a root file system that cannot be written to, no capabilities and no way to get
 * any, and limits of a cgroup of its own.
 */
export class Container implements AsyncDisposable {
  readonly ended: Promise<Ended>;
  readonly #id: string;
  readonly #bundle: string;
  readonly #working: string;
  readonly #process: ChildProcess;
  readonly #within: readonly [string, ...string[]];
  #said = "";

  private constructor(id: string, bundle: string, working: string, within: readonly [string, ...string[]]) {
    this.#id = id;
    this.#bundle = bundle;
    this.#working = working;
    this.#within = within;
    const [program, ...args] = within;
    this.#process = spawn(program, [...args, "runc", "run", "--bundle", bundle, id], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    const output = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const)
      this.#process[name]?.setEncoding("utf8").on("data", (text: string) => {
        output[name] += text;
        this.#said += text;
        this.#process.emit("said");
      });
    this.ended = once(this.#process, "close").then(([code]) => ({ code: code as number | null, ...output }));
  }

  static async start(options: ContainerOptions): Promise<Container> {
    const bundle = mkdtempSync(join(tmpdir(), "heddle-bundle-"));
    const working = await buildah("from", "--pull-never", IMAGE);
    const root = await buildah("mount", working);
    const id = bundle.slice(bundle.lastIndexOf("-") + 1);
    const config = await specification(options, root, `heddle-${id}`);
    writeFileSync(join(bundle, "config.json"), JSON.stringify(config));
    return new Container(`heddle-${id}`, bundle, working, options.within);
  }

  /** Runs the image to its end. */
  static async run(options: ContainerOptions): Promise<Ended> {
    await using container = await Container.start(options);
    return await container.ended;
  }

  /** Resolves when it has said this. Rejects when it ends before. */
  async says(words: string): Promise<void> {
    while (!this.#said.includes(words)) {
      const isOver = await Promise.race([once(this.#process, "said").then(() => false), this.ended.then(() => true)]);
      if (isOver && !this.#said.includes(words)) throw new Error(`it ended without ${words}: ${this.#said}`);
    }
  }

  /** Sends a signal to its first process. */
  async kill(signal: "TERM" | "KILL"): Promise<void> {
    await command("runc", ["kill", this.#id, signal]);
  }

  /** Runs a program beside its first process, as an exec probe or a hook does. */
  exec(...args: readonly string[]): Promise<Ended> {
    const [program, ...before] = this.#within;
    return command(program, [...before, "runc", "exec", this.#id, ...args]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await command("runc", ["delete", "--force", this.#id]);
    await this.ended;
    await buildah("rm", this.#working);
    rmSync(this.#bundle, { recursive: true, force: true });
  }
}

function command(program: string, args: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(program, args, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : null;
      resolve({ code, stdout, stderr });
    });
  });
}

/** What runc is told. */
async function specification(options: ContainerOptions, root: string, id: string): Promise<object> {
  const { User, Env, Entrypoint, WorkingDir } = await imageConfig();
  const [uid, gid] = User.split(":").map(Number);
  const kinds = ["bounding", "effective", "inheritable", "permitted", "ambient"];
  const mounts = Object.entries(options.mounts ?? {}).map(([destination, { from, isReadOnly }]) => ({
    destination,
    type: "bind",
    source: from,
    options: ["rbind", isReadOnly ? "ro" : "rw"],
  }));
  const period = 100_000;
  return {
    ociVersion: "1.0.2",
    process: {
      terminal: false,
      user: { uid, gid },
      args: [...Entrypoint, ...options.args],
      env: [...Env, ...Object.entries(options.env).map(([name, value]) => `${name}=${value}`)],
      cwd: WorkingDir,
      noNewPrivileges: true,
      capabilities: Object.fromEntries(kinds.map((kind) => [kind, []])),
    },
    root: { path: root, readonly: true },
    hostname: id,
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755"] },
      { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["nosuid", "noexec", "nodev", "ro"] },
      { destination: "/tmp", type: "tmpfs", source: "tmpfs", options: ["nosuid", "nodev", "mode=1777", "size=256m"] },
      ...mounts,
    ],
    linux: {
      namespaces: ["pid", "ipc", "uts", "mount"].map((type) => ({ type })),
      cgroupsPath: `/${id}`,
      resources: {
        cpu: { quota: Math.round(options.cpus * period), period },
        memory: { limit: options.memoryMiB * 1024 * 1024 },
      },
    },
  };
}
