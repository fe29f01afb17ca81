import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { createClient } from "@redis/client";
import type { Contender } from "../contender.ts";
import { CONCURRENT, KEYS } from "../rows.ts";
import { type RunningProgram, startServer } from "../server-process.ts";
import { streamed } from "./by-calls.ts";
import { concurrently, key, keysOf, underWay } from "./shared-state.ts";

const LIST = "list";

/** Its server with every write on disk before it is answered, at a unix socket, and its client for Node. */
export async function openRedis(): Promise<Contender> {
  await using scope = new AsyncDisposableStack();
  const server = scope.use(await startRedis());
  const client = await connected(server.facts, scope);
  const fresh = async (): Promise<void> => void (await client.flushAll());
  const outcome = async (count: number): Promise<number[]> => (await client.mGet(keysOf(count))).map(Number);
  const moved = scope.move();
  return {
    operations: {
      appends: {
        how: `client.rPush(list, item), ${underWay}, each awaited`,
        prepare: fresh,
        run: (count) => streamed(count, (item) => client.rPush(LIST, String(item))),
        outcome: async () => (await client.lRange(LIST, 0, -1)).map(Number),
      },
      sets: {
        how: "await client.set(key, value)",
        prepare: fresh,
        run: (_, at) => client.set(key(at), String(at)),
        outcome,
      },
      manySets: {
        how: `client.set(key, value), ${concurrently}`,
        prepare: fresh,
        run: (count) => streamed(count, (at) => client.set(key(at), String(at)), CONCURRENT),
        outcome,
      },
      gets: {
        how: "await client.get(key)",
        prepare: async () =>
          void (await client.mSet(Object.fromEntries(keysOf(KEYS).map((name, at) => [name, String(at)])))),
        run: async (_, at) => Number(await client.get(key(at))),
      },
    },
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
}

/** The same server with its own load generator, which is written in C: what the server can do. */
export async function openRedisBenchmark(): Promise<Contender> {
  await using scope = new AsyncDisposableStack();
  const { facts: socket } = scope.use(await startRedis());
  const client = await connected(socket, scope);
  const benchmark = async (...args: readonly (string | number)[]): Promise<void> =>
    void (await promisify(execFile)("redis-benchmark", ["-s", socket, "-q", ...args.map(String)]));
  const moved = scope.move();
  return {
    operations: {
      appends: {
        how: "redis-benchmark -c 50 -P 16 rpush list x: 800 under way",
        prepare: async () => void (await client.flushAll()),
        run: (count) => benchmark("-c", 50, "-P", 16, "-n", count, "rpush", LIST, "x"),
        outcome: () => client.lLen(LIST),
      },
    },
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
}

function startRedis(): Promise<RunningProgram<string>> {
  let socket = "";
  return startServer({
    program: "redis-server",
    args: (directory) => {
      socket = join(directory, "socket");
      const durable = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""];
      return ["--port", "0", "--unixsocket", socket, "--dir", directory, ...durable];
    },
    served: (line) => (line.includes("eady to accept connections") ? socket : undefined),
  });
}

async function connected(socket: string, scope: AsyncDisposableStack) {
  const client = createClient({ socket: { path: socket, tls: false } });
  client.on("error", () => undefined); // whoever calls it is told
  scope.defer(() => client.destroy());
  return await client.connect();
}
