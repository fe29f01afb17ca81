import { Etcd3, type Lock } from "etcd3";
import type { Contender } from "../contender.ts";
import { CONCURRENT, KEYS } from "../rows.ts";
import { startServer } from "../server-process.ts";
import { streamed } from "./by-calls.ts";
import { concurrently, key, keysOf } from "./shared-state.ts";

const LEASE_SECONDS = 15;

/** One node of it, which writes to disk before it answers, and its client for Node. */
export async function openEtcd(): Promise<Contender> {
  await using scope = new AsyncDisposableStack();
  const free = "http://127.0.0.1:0";
  const server = scope.use(
    await startServer({
      program: "etcd",
      args: (directory) => [
        ...["--data-dir", directory, "--logger", "zap", "--enable-grpc-gateway=false"],
        ...["--listen-client-urls", free, "--advertise-client-urls", free, "--listen-peer-urls", free],
      ],
      served: (line) => /serving client traffic insecurely.*"address":"([^"]+)"/.exec(line)?.[1],
    }),
  );
  const client = new Etcd3({ hosts: server.facts });
  scope.defer(() => client.close());
  const fresh = async (): Promise<void> => void (await client.delete().all());
  const outcome = async (count: number): Promise<number[]> => {
    const values = await client.getAll().numbers();
    return keysOf(count).map((name) => values[name] ?? Number.NaN);
  };
  const areFree = async (): Promise<boolean> => (await client.getAll().keys()).length === 0;
  const pair = async (name: string): Promise<void> => {
    const lock: Lock = client.lock(name).ttl(LEASE_SECONDS);
    await lock.acquire();
    await lock.release();
  };
  const moved = scope.move();
  return {
    operations: {
      sets: {
        how: "await client.put(key).value(value)",
        prepare: fresh,
        run: (_, at) => client.put(key(at)).value(at).exec(),
        outcome,
      },
      manySets: {
        how: `client.put(key).value(value), ${concurrently}`,
        prepare: fresh,
        run: (count) => streamed(count, (at) => client.put(key(at)).value(at).exec(), CONCURRENT),
        outcome,
      },
      gets: {
        how: "await client.get(key).number()",
        prepare: async () => void (await streamed(KEYS, (at) => client.put(key(at)).value(at).exec(), CONCURRENT)),
        run: (_, at) => client.get(key(at)).number(),
      },
      lockPairs: {
        how: `const lock = client.lock(name).ttl(${LEASE_SECONDS}); await lock.acquire(); await lock.release()`,
        prepare: fresh,
        run: () => pair("lock"),
        outcome: areFree,
      },
      manyLockPairs: {
        how: `the same, ${concurrently}, each with a lock and a lease of its own, over one connection`,
        prepare: fresh,
        run: (count) => streamed(count, (_, lane) => pair(`lock ${lane}`), CONCURRENT),
        outcome: areFree,
      },
    },
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
}
