import {
  copyFileSync,
  existsSync,
  linkSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PoolInitError, Process, repeat, task } from "heddle";
import { expect, test, vi } from "vitest";
import { ProcessCluster } from "../../harness/process-cluster.ts";
import { failure } from "../../harness/waiting.ts";

vi.setConfig({ testTimeout: 90_000 });

/** Runs an agent by the node binary of its name in the directory that comes first. */
const BY_NAME = 'shift; for word; do [ "$last" = --name ] && name=$word; last=$word; done; exec "$0/$name" "$@"';
const items = Array.from({ length: 30 }, (_, n) => n);

/** Each agent has a node binary of its own, which can be taken from it. */
class Binaries implements Disposable {
  readonly #directory = mkdtempSync(join(tmpdir(), "heddle-node-"));
  readonly within = ["sh", "-c", BY_NAME, this.#directory];

  constructor(names: readonly string[]) {
    for (const name of names) provide(this.#path(name));
  }

  remove(name: string): void {
    rmSync(this.#path(name));
  }

  /** In place of the binary, what only counts how often it is tried; it gives the number so far. */
  fail(name: string): () => number {
    const tries = `${this.#path(name)}.tries`;
    this.remove(name);
    writeFileSync(this.#path(name), `#!/bin/sh\necho >> ${tries}\necho no workers today >&2\nexit 9\n`, {
      mode: 0o755,
    });
    return () => (existsSync(tries) ? readFileSync(tries, "utf8").length : 0);
  }

  [Symbol.dispose](): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #path(name: string): string {
    return join(this.#directory, name);
  }
}

function provide(path: string): void {
  const binary = realpathSync(process.execPath);
  try {
    linkSync(binary, path);
  } catch {
    copyFileSync(binary, path); // another file system
  }
}

test("F11 a node that can start no workers is excluded, with the reason, and the others go on; a Process starts elsewhere", async () => {
  using binaries = new Binaries(["n1", "n2", "n3"]);
  await using cluster = await ProcessCluster.start({ nodes: 3, agentsWithin: binaries.within });
  const fabric = await cluster.fabric();
  binaries.remove("n1");
  await using pool = fabric.pool({ maxTasksPerChild: 1 }); // whom the node has already runs one chunk, and nobody comes after
  const firstNode = async () => (await fabric.nodes()).find(({ name }) => name === "n1");
  let first = await firstNode();
  const counts = { n1: 0, others: 0 };
  for await (const name of pool.imap(() => task().node, repeat(0, 5_000), { chunkSize: 1 })) {
    counts[name === "n1" ? "n1" : "others"]++;
    if ((counts.n1 + counts.others) % 5 === 0) first = await firstNode();
    if (first?.state === "excluded") break;
  }
  expect(first).toMatchObject({ name: "n1", state: "excluded" });
  expect(counts.n1).toBeLessThanOrEqual(1);
  expect(first?.reason).toMatch(/no worker could start for 3 chunks \(the last time: .*(No such file|ENOENT)/);
  const child = new Process({ fabric, target: () => undefined });
  await child.start();
  expect(child.node).toMatch(/^n[23]$/);
  await child.join();
  expect(child.exitCode).toBe(0);
});

test("F11 where the only node can start none, a call fails within a minute with what its workers said, and nobody tries in a hot loop", async () => {
  using binaries = new Binaries(["n1"]);
  await using cluster = await ProcessCluster.start({ nodes: 1, agentsWithin: binaries.within });
  const fabric = await cluster.fabric();
  const tries = binaries.fail("n1");
  await using pool = fabric.pool({ maxTasksPerChild: 1 });
  const beganMs = performance.now();
  const error = await failure(pool.map((x) => x, items, { chunkSize: 1 }));
  expect(performance.now() - beganMs).toBeLessThan(60_000);
  expect(error).toBeInstanceOf(PoolInitError);
  expect(String(error)).toMatch(/exited with code 9 before it was ready: no workers today/);
  expect(tries()).toBeGreaterThan(1);
  expect(tries()).toBeLessThan(50);
  const child = new Process({ fabric, target: () => undefined });
  await expect(child.start()).rejects.toThrow(/no workers today/);
});

test("F11 a Process whose first choice cannot start it runs on another node, though no chunk has failed there", async () => {
  using binaries = new Binaries(["n1", "n2"]);
  await using cluster = await ProcessCluster.start({ nodes: 2, agentsWithin: binaries.within });
  const fabric = await cluster.fabric();
  binaries.fail("n1");
  const child = new Process({ fabric, target: () => undefined });
  await child.start();
  expect(child.node).toBe("n2");
  await child.join();
  const named = new Process({ fabric, node: "n1", target: () => undefined });
  await expect(named.start()).rejects.toThrow(/no workers today/);
});
