import { NotFoundError } from "@heddle/kernel";
import { type ObjectsAdmin, objectsAdmin } from "heddle";
import { duration } from "./format.ts";
import type { Kind } from "./kinds.ts";

type Item<K extends "objects" | "locks" | "sessions"> = Awaited<ReturnType<ObjectsAdmin[K]>>[number];

export const objects: Kind<Item<"objects">> = {
  title: "objects",
  list: (fabric) => objectsAdmin(fabric).objects(),
  find: async (fabric, name) => (await objectsAdmin(fabric).object(name)).object,
  names: ({ object }) => [nameOf(object)],
  restless: [],
  columns: [
    { heading: "NAME", cell: ({ object }) => nameOf(object) },
    { heading: "KIND", cell: ({ kind }) => kind },
    { heading: "ITEMS", cell: ({ items }) => String(items) },
    { heading: "BYTES", cell: ({ bytes }) => String(bytes) },
    { heading: "WAITING", cell: ({ waiting }) => String(waiting) },
    { heading: "SESSION", cell: ({ session }) => numberOr(session), isWide: true },
    { heading: "CREATED", cell: ({ created }) => String(created), isWide: true },
    { heading: "CHANGED", cell: ({ changed }) => String(changed), isWide: true },
    { heading: "SPEC", cell: ({ spec }) => spec, isWide: true },
  ],
};

export const locks: Kind<Item<"locks">> = {
  title: "locks",
  list: (fabric) => objectsAdmin(fabric).locks(),
  find: async (fabric, name) => (await objectsAdmin(fabric).lock(name)).lock,
  names: ({ object }) => [nameOf(object)],
  restless: ["heldMs"],
  columns: [
    { heading: "NAME", cell: ({ object }) => nameOf(object) },
    { heading: "KIND", cell: ({ kind }) => kind },
    { heading: "WAITING", cell: ({ waiting }) => String(waiting) },
    { heading: "HELD", cell: ({ holders: [first] }) => (first === undefined ? "-" : duration(first.heldMs)) },
    { heading: "HOLDER", cell: ({ holders: [first], held }) => (first === undefined ? "-" : holderCell(first, held)) },
    { heading: "SESSION", cell: ({ holders: [first] }) => numberOr(first?.session ?? 0), isWide: true },
    { heading: "OWNER", cell: ({ holders: [first] }) => String(first?.owner ?? "-"), isWide: true },
    { heading: "TOKEN", cell: ({ holders: [first] }) => numberOr(first?.token ?? 0), isWide: true },
    { heading: "FREE", cell: ({ kind, free }) => (kind === "semaphore" ? String(free) : "-"), isWide: true },
    { heading: "BROKEN", cell: ({ brokenReason }) => brokenReason, isWide: true },
  ],
};

export const sessions: Kind<Item<"sessions">> = {
  title: "sessions",
  list: (fabric) => objectsAdmin(fabric).sessions(),
  find: async (fabric, name) => {
    const session = (await objectsAdmin(fabric).sessions()).find((each) => String(each.session) === name);
    if (session === undefined) throw new NotFoundError(`there is no session ${JSON.stringify(name)}`);
    return session;
  },
  names: ({ session }) => [String(session)],
  restless: ["leftMs"],
  columns: [
    { heading: "SESSION", cell: ({ session }) => String(session) },
    { heading: "CONNECTED", cell: ({ connected }) => (connected ? "yes" : "no") },
    { heading: "LEFT", cell: ({ leftMs }) => duration(leftMs) },
    { heading: "HELD", cell: ({ held }) => String(held) },
    { heading: "WAITING", cell: ({ waiting }) => String(waiting) },
    { heading: "HOLDER", cell: ({ description }) => description },
    { heading: "IDENTITY", cell: ({ identity }) => identity, isWide: true },
    { heading: "LEASE", cell: ({ ttlMs }) => duration(ttlMs), isWide: true },
    { heading: "OWNERS", cell: ({ owners }) => String(owners), isWide: true },
    { heading: "OBJECTS", cell: ({ objects }) => String(objects), isWide: true },
  ],
};

/** What people call an object: its name without the "@" that it has on the wire, unless it would be taken for an id then; else its id. */
export function nameOf(object: string): string {
  const name = object.startsWith("@") ? object.slice(1) : object;
  return /^(@.*|[0-9a-f]{32}|)$/s.test(name) ? object : name;
}

function holderCell({ description }: { readonly description: string }, held: number): string {
  return held === 1 ? description : `${description} and ${held - 1} more`;
}

/** Sessions, tokens and revisions count from 1. */
function numberOr(number: number): string {
  return number === 0 ? "-" : String(number);
}
