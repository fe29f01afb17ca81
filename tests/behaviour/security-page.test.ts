import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "../..");
const page = readFileSync(join(root, "docs/security.md"), "utf8");

/** Names and values of the tables of limits, in the order of the page; of each the file, where the row has one. */
const rows = [...page.matchAll(/^\| `([A-Z_]+)` \| ([^|]+) \|(?: \[[a-z]+\]\(\.\.\/([^)]+)\) \|)? [^|]+ \|$/gm)].map(
  ([, name = "", value = "", file = "libs/adapters/grpc/src/limits.ts"]) => ({ name, value, file }),
);

/** Limits of the gRPC adapter that hold for itself, or for a server that it dials: they keep no hostile peer out. */
const others = [
  "KEEPALIVE_TIME_MS",
  "KEEPALIVE_TIMEOUT_MS",
  "DIAL_TIMEOUT_MS",
  "TCP_WINDOW_BYTES",
  "UNIX_WINDOW_BYTES",
  "UNSENT_BYTES",
  "UNSENT_MESSAGES",
  "UNREAD_BYTES",
  "UNREAD_MESSAGES",
  "END_TIMEOUT_MS",
  "SHUTDOWN_TIMEOUT_MS",
  "STATUS_TEXT_BYTES",
  "DEADLINE_MS_MAX",
  "TLS_PROBE_MS",
  "TLS_POLL_MS",
  "EXPIRY_LIFE_PARTS",
  "EXPIRY_WARN_MS_MAX",
  "EXPIRY_WARN_MS_MIN",
  "EXPIRY_REPEAT_MS",
];

const quotaFiles = [
  "libs/ports/rpc/src/limits.ts",
  "libs/shells/coordinator/src/limits.ts",
  "libs/shells/manager/src/limits.ts",
  "libs/core/objects/src/limits.ts",
];

async function limitsIn(file: string): Promise<ReadonlyMap<string, number>> {
  const module = (await import(join(root, file))) as Record<string, unknown>;
  const { OBJECT_LIMITS: objects, ...constants } = module;
  const all = Object.entries({ ...constants, ...(typeof objects === "object" ? objects : {}) });
  return new Map(all.flatMap(([name, value]) => (typeof value === "number" ? [[name, value] as const] : [])));
}

/** What a value of the page means in the unit that the limit's name says. */
function inUnitOf(name: string, text: string): number {
  const [, digits = "", unit = ""] = /^([\d,]+)(?: (s|min|KiB|MiB))?$/.exec(text) ?? [];
  const count = Number(digits.replaceAll(",", ""));
  if (name.endsWith("_MS")) return count * (unit === "min" ? 60_000 : unit === "s" ? 1_000 : Number.NaN);
  if (name.endsWith("_MB")) return unit === "MiB" ? count : Number.NaN;
  if (/_BYTES(_MAX)?$/.test(name)) return count * (unit === "KiB" ? 1_024 : unit === "MiB" ? 1_048_576 : Number.NaN);
  return unit === "" && digits !== "" ? count : Number.NaN;
}

test("the page on security says of each limit what it is in the code", async () => {
  expect(rows.length).toBeGreaterThan(30);
  for (const { name, value, file } of rows) {
    expect([name, inUnitOf(name, value)]).toEqual([name, (await limitsIn(file)).get(name)]);
  }
});

test("the page on security has every limit of connections that keeps hostile peers out, once", async () => {
  const shown = rows.filter(({ file }) => file.startsWith("libs/adapters/")).map(({ name }) => name);
  const all = await limitsIn("libs/adapters/grpc/src/limits.ts");
  expect([...shown, ...others].sort()).toEqual([...all.keys()].sort());
});

test("the page on security has every quota of an identity and of a session, and what bounds the log of refusals, once", async () => {
  const quotas = [];
  for (const file of quotaFiles) {
    const names = [...(await limitsIn(file)).keys()].filter((name) => /^(CALLER|SESSION)_.*_MAX$|^AUDIT_/.test(name));
    quotas.push(...names.filter((name) => name !== "SESSION_TTL_MS_MAX").map((name) => `${file} ${name}`));
  }
  const shown = rows.filter(({ file }) => quotaFiles.includes(file)).map(({ name, file }) => `${file} ${name}`);
  expect(shown.sort()).toEqual(quotas.sort());
});

test("the page on security says how long certificates are good for, how soon new ones are read and how large a message is", async () => {
  const certificates = await limitsIn("libs/adapters/certificates/src/limits.ts");
  const grpc = await limitsIn("libs/adapters/grpc/src/limits.ts");
  const kernel = await limitsIn("libs/kernel/src/limits.ts");
  const days = (name: string): string => (certificates.get(name) ?? 0).toLocaleString("en");
  expect(page).toContain(`for ${days("IDENTITY_DAYS")} days unless`);
  expect(page).toContain(`the authority for ${days("AUTHORITY_DAYS")}`);
  expect(page).toContain(`its files every ${(grpc.get("TLS_POLL_MS") ?? 0) / 1_000} s`);
  expect(page).toContain(`at most ${(kernel.get("MESSAGE_BYTES_MAX") ?? 0) / 1_048_576} MiB (\`MESSAGE_BYTES_MAX\`)`);
});
