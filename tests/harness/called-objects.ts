import type { Guard, Manager } from "heddle";
import type { ObjectName, Wanted } from "./caller.ts";

/** Shared objects of a manager that are called as another program says: see caller.ts. */
export class CalledObjects {
  readonly #manager: Manager;
  readonly #guards = new Map<bigint, Guard>();
  readonly #objects = new Map<string, object>();

  constructor(manager: Manager) {
    this.#manager = manager;
  }

  /** A guard is told as its token. */
  async call({ object, method, args, under }: Wanted): Promise<unknown> {
    const target = this.#object(object);
    const run = async (): Promise<unknown> =>
      await Reflect.apply(Reflect.get(target, method) as () => unknown, target, args);
    if (under !== undefined) {
      const guard = this.#guards.get(under);
      if (guard === undefined) throw new Error("it has no such guard");
      return method === "release" ? await guard.release() : await guard.run(run);
    }
    const value = await run();
    return value !== null && typeof value === "object" && "assertHeld" in value ? this.#keep(value as Guard) : value;
  }

  #object({ kind, name, args = [] }: ObjectName): object {
    const key = `${kind} ${name}`;
    const there = this.#objects.get(key);
    if (there !== undefined) return there;
    const make = Reflect.get(this.#manager, kind) as (...args: unknown[]) => object;
    const made = Reflect.apply(make, this.#manager, [...args, { name }]);
    this.#objects.set(key, made);
    return made;
  }

  #keep(guard: Guard): bigint {
    const { token } = guard;
    this.#guards.set(token, guard);
    return token;
  }
}
