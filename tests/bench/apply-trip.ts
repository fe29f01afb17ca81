/**
 * `node --conditions=@heddle/source tests/bench/apply-trip.ts [--trips=3000] [--rounds=5] [--profile=DIR] [--noops=0] [--tls]`:
 * one call after the other through coordinator, agent and worker processes over gRPC, in clear unless `--tls` is given. Prints the trip's
 * percentiles and what each process burnt of the cores meanwhile.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { createAuthority, writeIdentity } from "@heddle/adapter-certificates";
import type { Role } from "@heddle/kernel";
import { tlsFilesIn } from "@heddle/port-rpc";
import { connect, range } from "heddle";
import { noop } from "./tasks.ts";

const { values: options } = parseArgs({
  options: {
    trips: { type: "string", default: "3000" },
    rounds: { type: "string", default: "5" },
    noops: { type: "string", default: "0" },
    profile: { type: "string", default: "" },
    tls: { type: "boolean", default: false },
  },
});
const directory = mkdtempSync(join(tmpdir(), "heddle-trip-"));

const tlsDirectory = (role: Role): string => join(directory, "tls", role);

async function makeCertificates(): Promise<void> {
  const authority = await createAuthority();
  for (const role of ["coordinator", "agent", "client"] as const)
    writeIdentity(
      tlsDirectory(role),
      await authority.issue({ role, hosts: role === "coordinator" ? ["127.0.0.1"] : [] }),
    );
}

function start(app: "coordinator" | "agent", flags: readonly string[]): ChildProcess {
  const main = fileURLToPath(new URL(`../../apps/${app}/src/main.ts`, import.meta.url));
  const profile = options.profile === "" ? [] : ["--cpu-prof", `--cpu-prof-dir=${join(options.profile, app)}`];
  const tls = options.tls ? ["--tls-dir", tlsDirectory(app)] : [];
  const all = ["--conditions=@heddle/source", ...profile, main, ...flags, ...tls, "--data-dir", join(directory, app)];
  return spawn(process.execPath, all, { stdio: ["ignore", "inherit", "inherit"] });
}

/** Milliseconds of processor time that a process has used. */
function burntMs(pid: number | undefined): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

const percentile = (sorted: readonly number[], at: number): string =>
  `${Math.round((sorted[Math.floor(sorted.length * at)] ?? Number.NaN) * 1_000)} us`;

if (options.tls) await makeCertificates();
const file = join(directory, "address.json");
const coordinator = start("coordinator", ["--listen", "127.0.0.1:0", "--address-file", file]);
while (!existsSync(file)) await pause(20);
const { address } = JSON.parse(readFileSync(file, "utf8")) as { address: string };
const agent = start("agent", ["--coordinator", address, "--name", "n1", "--processes", "2"]);
const servers = { coordinator, agent };
try {
  await using fabric = await connect(address, options.tls ? { tls: tlsFilesIn(tlsDirectory("client")) } : {});
  await using pool = fabric.pool();
  for (let turn = 0; turn < 3; turn++) await pool.map(noop, range(50_000));
  await pool.map(noop, range(50_000), { chunkSize: 1 });
  for (let trip = 0; trip < 2_000; trip++) await pool.apply(noop, [1]);
  for (let round = 0; round < Number(options.rounds); round++) {
    const before = Object.values(servers).map(({ pid }) => burntMs(pid));
    const own = process.cpuUsage();
    const begun = performance.now();
    const trips: number[] = [];
    for (let trip = 0; trip < Number(options.trips); trip++) {
      const at = performance.now();
      await pool.apply(noop, [1]);
      trips.push(performance.now() - at);
    }
    const wall = performance.now() - begun;
    const used = process.cpuUsage(own);
    const per = (ms: number): string => `${Math.round((ms * 1_000) / trips.length)}`;
    const others = Object.entries(servers).map(
      ([name, { pid }], at) => `${name} ${per(burntMs(pid) - (before[at] ?? 0))}`,
    );
    trips.sort((a, b) => a - b);
    console.log(
      `apply p50 ${percentile(trips, 0.5)}, p90 ${percentile(trips, 0.9)}, p99 ${percentile(trips, 0.99)}, mean ${per(wall)};` +
        ` us of CPU each: client ${per((used.user + used.system) / 1_000)} ${others.join(" ")}`,
    );
  }
  const count = Number(options.noops);
  for (let round = 0; count > 0 && round < Number(options.rounds); round++) {
    const before = Object.values(servers).map(({ pid }) => burntMs(pid));
    const own = process.cpuUsage();
    const begun = performance.now();
    await pool.map(noop, range(count), { chunkSize: 1 });
    const wall = performance.now() - begun;
    const used = process.cpuUsage(own);
    const per = (ms: number): string => ((ms * 1_000) / count).toFixed(2);
    const others = Object.entries(servers).map(
      ([name, { pid }], at) => `${name} ${per(burntMs(pid) - (before[at] ?? 0))}`,
    );
    console.log(
      `no-ops ${Math.round(count / wall)} k/s; us of CPU each: client ${per((used.user + used.system) / 1_000)} ${others.join(" ")}`,
    );
  }
} finally {
  for (const child of [agent, coordinator]) {
    const gone = once(child, "exit");
    child.kill("SIGTERM");
    await gone;
  }
  rmSync(directory, { recursive: true, force: true });
}
