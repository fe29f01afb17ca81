import { StateError } from "@heddle/kernel";
import { described } from "../describe.ts";
import { ObjectsHome } from "./home.ts";

/** What shared objects need of a fabric. */
export interface ObjectsFabric {
  /** Its own session, for objects that are made of no manager. */
  readonly home: ObjectsHome;
  /** A session of its own. */
  openObjects(options: { readonly ttlMs?: number | undefined }): ObjectsHome;
}

/** Finds the fabric at an address; without one that of whoever gives none. */
export type FindFabric = (address: string | undefined) => ObjectsFabric;

/** Told by the package that users import, once: this ring knows no fabric of its own. */
const provided: { find: FindFabric } = {
  find: () => {
    throw new StateError("there is no fabric to use: give one, as { fabric }");
  },
};

/** Says where those find their fabric that are not told one. */
export function provideFabrics(find: FindFabric): void {
  provided.find = find;
}

/** The fabric that was given, else the one at the address, else that of whoever gives none. Throws TypeError for both, and for what is no fabric. */
export function fabricOf({
  fabric,
  address,
}: {
  readonly fabric?: unknown;
  readonly address?: unknown;
}): ObjectsFabric {
  if (address !== undefined && typeof address !== "string")
    throw new TypeError(`address must be a string, got ${described(address)}`);
  if (fabric === undefined) return provided.find(address);
  if (address !== undefined) throw new TypeError("give a fabric or an address, not both");
  if (!isFabric(fabric)) throw new TypeError(`fabric must be what connect() resolved to, got ${described(fabric)}`);
  return fabric;
}

/** The home of objects that are made of no manager: that of their fabric. Throws as `fabricOf`. */
export function homeOf(options: { readonly fabric?: unknown }): ObjectsHome {
  return fabricOf({ fabric: options.fabric }).home;
}

function isFabric(value: unknown): value is ObjectsFabric {
  return typeof value === "object" && value !== null && Reflect.get(value, "home") instanceof ObjectsHome;
}
