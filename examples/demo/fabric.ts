import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** A coordinator and agents, as real processes of their own. */
export interface RunningFabric extends AsyncDisposable {
  readonly address: string;
  /** Who its clients are to say that they are: files in PEM, when it speaks TLS. */
  readonly tls?: ClientFiles;
}

/** As `connect` wants them. */
interface ClientFiles {
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
}

/** What is to be started. */
export interface FabricOptions {
  readonly nodes: number;
  readonly tls: boolean;
  /** Told every line that it prints. */
  readonly echo: (line: string) => void;
}

/** Runs `heddle up` on a free port of loopback and waits until it serves. Disposing stops everything it started. */
export async function startFabric({ nodes, tls, echo }: FabricOptions): Promise<RunningFabric> {
  const directory = await mkdtemp(join(tmpdir(), "heddle-demo-"));
  const file = join(directory, "address.json");
  const heddle = fileURLToPath(new URL("../../libs/sdk/bin/heddle.mjs", import.meta.url));
  const args = [
    "up",
    "--nodes",
    String(nodes),
    "--listen",
    "127.0.0.1:0",
    "--address-file",
    file,
    ...(tls ? ["--tls"] : []),
  ];
  const up = spawn(process.execPath, [heddle, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  await serving(up, echo);
  const { address, tlsDir } = JSON.parse(await readFile(file, "utf8")) as { address: string; tlsDir?: string };
  return {
    address,
    ...(tlsDir === undefined ? {} : { tls: filesIn(tlsDir) }),
    [Symbol.asyncDispose]: async () => {
      const gone = once(up, "exit");
      if (up.exitCode === null && up.kill("SIGTERM")) await gone;
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function filesIn(directory: string): ClientFiles {
  const [caFile = "", certFile = "", keyFile = ""] = ["ca.crt", "tls.crt", "tls.key"].map((file) =>
    join(directory, file),
  );
  return { caFile, certFile, keyFile };
}

/** Resolves once the address is printed: the address file is written before. */
function serving(up: ChildProcess, echo: (line: string) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    up.once("error", reject);
    up.once("exit", (code) => reject(new Error(`heddle up ended with ${code} before it served`)));
    for (const stream of [up.stdout, up.stderr])
      if (stream !== null)
        createInterface({ input: stream }).on("line", (line) => {
          echo(line);
          if (line.includes("HEDDLE_ADDRESS=")) resolve();
        });
  });
}
