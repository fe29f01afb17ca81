/**
 * A program that does what another one tells it, call by call: see tests/harness/caller.ts. Its session is with the manager of the fabric at the address that it
 * is given, for the lease that it is given.
 */
import { connect, Manager } from "heddle";
import { CalledObjects } from "../../harness/called-objects.ts";
import type { Told, Wanted } from "../../harness/caller.ts";

const [address, ttlMs] = process.argv.slice(2);
const fabric = await connect(address);
const manager = new Manager({ fabric, ttlMs: Number(ttlMs) });
const say = (told: Told): void => void process.send?.(told);

const objects = new CalledObjects(manager);
process.on("message", (wanted: Wanted) => {
  const { id } = wanted;
  objects.call(wanted).then(
    (value) => say({ id, value }),
    ({ name, message }: Error) => say({ id, error: { name, message } }),
  );
});
process.on("disconnect", () => process.exit(0));
await manager.dict([], { name: "callers" }).size();
say({ isReady: true });
