import { StateError } from "@heddle/kernel";
import type { AnyFunction } from "@heddle/port-shipper";
import type { KnownMember } from "./capture/builder.ts";

/** Stand-ins for exports of modules that are not loaded here. */
export class Handles {
  readonly #members = new WeakMap<object, KnownMember>();

  /** A new stand-in. Calling it throws StateError. */
  make(member: KnownMember): AnyFunction {
    const { file, exportName } = member;
    const handle = (): never => {
      throw new StateError(
        `${exportName} of ${file} is a handle: pass it to a pool's map or apply, it cannot be called here`,
      );
    };
    Object.defineProperty(handle, "name", { value: exportName, configurable: true });
    this.#members.set(handle, member);
    return handle;
  }

  /** What a value stands for; undefined for what is no stand-in. */
  memberOf(value: unknown): KnownMember | undefined {
    return typeof value === "function" ? this.#members.get(value) : undefined;
  }
}
