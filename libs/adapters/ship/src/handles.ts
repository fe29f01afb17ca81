import { StateError } from "@heddle/kernel";
import type { AnyFunction } from "@heddle/port-shipper";
import type { KnownMember } from "./capture/builder.ts";

/** Objects that stand for exports of modules, or for all of a module. */
export class HandleRegistry {
  readonly #members = new WeakMap<object, KnownMember>();

  /** Lets an object stand for a member of a module; `exportName` "*" for the module itself. */
  register(standIn: object, member: KnownMember): void {
    this.#members.set(standIn, member);
  }

  /** A new stand-in for an export. Calling it throws StateError. */
  make(member: KnownMember): AnyFunction {
    const { file, exportName } = member;
    const handle = (): never => {
      throw new StateError(
        `${exportName} of ${file} is a handle: pass it to a pool's map or apply, it cannot be called here`,
      );
    };
    Object.defineProperty(handle, "name", { value: exportName, configurable: true });
    this.register(handle, member);
    return handle;
  }

  /** A new stand-in for a module: its members are stand-ins for the module's exports, whatever their names. */
  makeNamespace(file: string): AnyFunction {
    const members = new Map<string, AnyFunction>();
    const namespace = new Proxy(this.make({ file, exportName: "*" }), {
      get: (target, name) => {
        if (typeof name === "symbol" || name === "then") return Reflect.get(target, name); // it is no promise
        const member = members.get(name) ?? this.make({ file, exportName: name });
        members.set(name, member);
        return member;
      },
    });
    this.register(namespace, { file, exportName: "*" });
    return namespace;
  }

  /** What a value stands for; undefined for what is no stand-in. */
  memberOf(value: unknown): KnownMember | undefined {
    const isObject = typeof value === "function" || (typeof value === "object" && value !== null);
    return isObject ? this.#members.get(value) : undefined;
  }
}
