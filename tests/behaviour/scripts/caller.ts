/**
 * A program that does what another one tells it, call by call: see tests/harness/caller.ts. Its session is with the manager of the fabric at the address that it
 * is given, for the lease that it is given.
 */
import { connect, type Guard, Manager } from "heddle";
import type { Told, Wanted } from "../../harness/caller.ts";

const [address, ttlMs] = process.argv.slice(2);
const fabric = await connect(address);
const manager = new Manager({ fabric, ttlMs: Number(ttlMs) });
const guards = new Map<bigint, Guard>();
const objects = new Map<string, object>();
const say = (told: Told): void => void process.send?.(told);

function object({ kind, name, args = [] }: Wanted["object"]): object {
  const key = `${kind} ${name}`;
  const there = objects.get(key);
  if (there !== undefined) return there;
  const make = Reflect.get(manager, kind) as (...args: unknown[]) => object;
  const made = Reflect.apply(make, manager, [...args, { name }]);
  objects.set(key, made);
  return made;
}

function keep(guard: Guard): bigint {
  const { token } = guard;
  guards.set(token, guard);
  return token;
}

async function call({ object: wanted, method, args, under }: Wanted): Promise<unknown> {
  const target = object(wanted);
  const run = async (): Promise<unknown> =>
    await Reflect.apply(Reflect.get(target, method) as () => unknown, target, args);
  if (under !== undefined) {
    const guard = guards.get(under);
    if (guard === undefined) throw new Error("it has no such guard");
    return method === "release" ? await guard.release() : await guard.run(run);
  }
  const value = await run();
  return value !== null && typeof value === "object" && "assertHeld" in value ? keep(value as Guard) : value;
}

process.on("message", (wanted: Wanted) => {
  const { id } = wanted;
  call(wanted).then(
    (value) => say({ id, value }),
    ({ name, message }: Error) => say({ id, error: { name, message } }),
  );
});
process.on("disconnect", () => process.exit(0));
await manager.dict([], { name: "callers" }).size();
say({ isReady: true });
