import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Role, roles } from "@heddle/kernel";
import { expect, test } from "vitest";
import * as wire from "./index.ts";

interface Service {
  readonly fullName: string;
  readonly methods: Readonly<Record<string, { readonly name: string }>>;
}

function isService(value: unknown): value is Service {
  return typeof value === "object" && value !== null && "fullName" in value && "methods" in value;
}

/** The services that are generated, found in their files: a new one is among them without a word here. */
async function services(): Promise<Service[]> {
  const folder = join(import.meta.dirname, "gen/heddle/v1");
  const modules = readdirSync(folder).map((file) => import(join(folder, file)) as Promise<Record<string, unknown>>);
  return (await Promise.all(modules)).flatMap((module) => Object.values(module).filter(isService));
}

const beside = [
  "/grpc.health.v1.Health/Check",
  "/grpc.health.v1.Health/List",
  "/grpc.health.v1.Health/Watch",
  "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
  "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

test("every method of every service is in the table, and beside them health and reflection alone", async () => {
  const all = await services();
  expect(all.length).toBeGreaterThanOrEqual(6);
  const paths = all.flatMap(({ fullName, methods }) =>
    Object.values(methods).map(({ name }) => `/${fullName}/${name}`),
  );
  expect([...wire.access.keys()].sort()).toEqual([...paths, ...beside].sort());
  const exported = Object.values(wire).filter(isService);
  expect(new Set(exported)).toEqual(new Set(all));
});

test("nobody but agents is a node, nobody but admins breaks locks by themselves, and the manager calls nothing", () => {
  const of = (path: string): readonly Role[] | undefined => wire.access.get(path);
  expect(of(wire.nodesAttach.path)).toEqual(["agent"]);
  expect(of(wire.objectsAdminBreakLock.path)).toEqual(["coordinator", "admin"]);
  const open = [...wire.access].filter(([, who]) => who.includes("manager")).map(([path]) => path);
  expect(open).toEqual(["/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch", "/grpc.health.v1.Health/List"]);
  for (const [path, who] of wire.access) {
    expect([path, new Set(who).size]).toEqual([path, who.length]);
    for (const role of who) expect(roles).toContain(role);
  }
});

test("the page about the protocol shows the same table", () => {
  const page = readFileSync(join(import.meta.dirname, "../../../docs/protocol.md"), "utf8");
  const rows = [...page.matchAll(/^\| `([\w.]+)\/(\w+)` \|(.+)\|$/gm)].map(
    ([, service = "", method = "", cells = ""]) => {
      const marks = cells.split("|").map((cell) => cell.trim());
      expect([method, marks.length]).toEqual([method, roles.length]);
      const who = roles.filter((_role, at) => marks[at] === "yes");
      expect(marks.filter((mark) => mark !== "yes" && mark !== "")).toEqual([]);
      return [service.includes(".") ? `/${service}/${method}` : `/heddle.v1.${service}/${method}`, who] as const;
    },
  );
  expect(new Set(rows.map(([path]) => path)).size).toBe(rows.length);
  const sorted = [...wire.access].map(([path, who]) => [path, roles.filter((role) => who.includes(role))] as const);
  expect(new Map(rows)).toEqual(new Map(sorted));
  expect(page).toContain(`| method | ${roles.join(" | ")} |`);
});
