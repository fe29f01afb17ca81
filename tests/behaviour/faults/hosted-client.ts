/** A client on a host of its own, which does what it is asked. Argument: the lease of its sessions with the manager, in milliseconds. */
import { connect, type Fabric, type Guard, Manager, type Pool } from "heddle";
import { serve } from "../../chaos/companion-side.ts";
import { machineMs, noted, notedItems } from "./run-notes.ts";

const ttlMs = Number(process.argv[2]);
let fabric: Fabric | undefined;
let pool: Pool | undefined;
let manager: Manager | undefined;
let guard: Guard | undefined;

function opened(): Fabric {
  if (fabric === undefined) throw new Error("connect first");
  return fabric;
}

function managing(): Manager {
  manager ??= new Manager({ fabric: opened(), ttlMs });
  return manager;
}

serve({
  connect: async (address: string, directory: string) => {
    const tls = { caFile: `${directory}/ca.crt`, certFile: `${directory}/tls.crt`, keyFile: `${directory}/tls.key` };
    fabric = await connect(address, { tls });
    pool = fabric.pool();
    await fabric.nodes();
  },
  /** The results of a map of notes. */
  map: async (notes: string, count: number, runMs: number, chunkSize: number) =>
    await pool?.map(noted, notedItems(notes, count, runMs), { chunkSize, retries: 0 }),
  nodes: async () => (await opened().nodes()).map(({ name, state, incarnation }) => ({ name, state, incarnation })),
  jobs: async () => (await opened().jobs()).map(({ jobId, state }) => ({ jobId, state })),
  /** Takes a lock; the token. */
  lock: async (name: string) => {
    guard = await managing().lock({ name }).acquire();
    return Number(guard.token);
  },
  unlock: async () => await guard?.release(),
  /** When the lock that was taken last was found to be lost. */
  lostAt: async () => {
    const { signal } = guard ?? {};
    if (signal !== undefined && !signal.aborted)
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    return machineMs();
  },
  increment: async (name: string) => await managing().dict<string, number>([], { name }).increment("n"),
});
