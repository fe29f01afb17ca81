import { type ChildProcess, execFile } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createAuthority, writeIdentity } from "@heddle/adapter-certificates";
import { findLocalToken } from "@heddle/adapter-system";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { addressFile, descendants, eventually, heddle, startHeddle } from "./testing.ts";

vi.setConfig({ testTimeout: 90_000 }); // a fabric and several commands, each a process

const NOBODY = 65_534;
const scratch = mkdtempSync(join(tmpdir(), "heddle-credentials-test-"));
const started = new Set<ChildProcess>();

beforeAll(() => {
  chmodSync(scratch, 0o755); // what other users may not do is not for want of a way there
  mkdirSync(join(scratch, "login"), { mode: 0o700 });
  vi.stubEnv("XDG_RUNTIME_DIR", join(scratch, "login"));
});
afterEach(async () => {
  for (const child of started) {
    const gone = once(child, "exit");
    if (child.exitCode === null && child.signalCode === null && child.kill("SIGTERM")) await gone;
  }
  started.clear();
});
afterAll(() => {
  vi.unstubAllEnvs();
  rmSync(scratch, { recursive: true, force: true });
});

interface Up {
  readonly pid: number;
  readonly address: string;
  /** Of its clients, with TLS. */
  readonly tlsDir: string;
  /** All that it and its children have written so far. */
  readonly said: () => string;
}

async function up(...args: readonly string[]): Promise<Up> {
  const file = join(scratch, `${started.size}-${performance.now()}.json`);
  const child = startHeddle(["up", "--processes", "1", "--address-file", file, "--log-level", "debug", ...args]);
  started.add(child);
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
  const { address, tlsDir = "" } = await addressFile(file);
  return { pid: child.pid ?? 0, address: String(address), tlsDir: String(tlsDir), said: () => said };
}

describe("heddle up --tls", () => {
  test("serves who has a certificate of its fabric, at a name of this machine, though it listens at all its addresses", async () => {
    const { address, tlsDir, said } = await up("--tls", "--listen", "0.0.0.0:0", "--host", "localhost");
    expect(address).toMatch(/^localhost:\d+$/);
    await vi.waitFor(() => expect(said()).toContain(`export HEDDLE_ADDRESS=${address} HEDDLE_TLS_DIR=${tlsDir}\n`));
    const inOptions = await heddle(["get", "nodes", "--address", address, "--tls-dir", tlsDir]);
    expect(inOptions).toMatchObject({ code: 0, stdout: expect.stringContaining("ready") });
    const inEnvironment = { HEDDLE_ADDRESS: address, HEDDLE_TLS_DIR: tlsDir };
    expect(await heddle(["status"], inEnvironment)).toMatchObject({ code: 0 });
    const script = fileURLToPath(new URL("../testdata/look-around.ts", import.meta.url));
    const ran = await heddle(["run", "--address", address, "--tls-dir", tlsDir, script]);
    expect(ran).toMatchObject({ code: 0, stderr: "" });
    expect(JSON.parse(ran.stdout)).toMatchObject({ held: 1 });
  });

  test("refuses, in one line and with exit code 4, who has no certificate, one of another fabric, or one of another role", async () => {
    const { address, tlsDir } = await up("--tls", "--listen", "127.0.0.1:0");
    const foreign = join(scratch, "foreign");
    writeIdentity(foreign, await (await createAuthority()).issue({ role: "client" }));
    for (const [files, words] of [
      [[], "TLS"],
      [["--tls-dir", foreign], "certificate"],
      [["--tls-dir", join(tlsDir, "../agent")], "may not"],
    ] as const) {
      const { code, stdout, stderr } = await heddle(["get", "jobs", "--address", address, ...files]);
      expect([code, stdout, stderr.trimEnd().split("\n").length]).toEqual([4, "", 1]);
      expect(stderr).toContain(words);
      expect(stderr).not.toContain("BEGIN");
    }
    const broken = ["break", "lock", "none", "--address", address, "--tls-dir"];
    expect(await heddle([...broken, tlsDir])).toMatchObject({ code: 4, stderr: expect.stringContaining("admin") });
    expect(await heddle([...broken, join(tlsDir, "../admin")])).toMatchObject({ code: 3 });
  });
});

describe("a program that is started with certificates", () => {
  const certificates = join(scratch, "certificates");
  beforeAll(async () => {
    const authority = await createAuthority();
    for (const role of ["client", "coordinator", "agent"] as const)
      writeIdentity(join(certificates, role), await authority.issue({ role }));
    writeFileSync(join(certificates, "agent", "tls.crt"), "nothing");
  });

  test.each<[string, readonly string[], string]>([
    ["a directory that is not there", ["coordinator", "--tls-dir", "/nowhere"], "/nowhere/ca.crt"],
    [
      "a file that is none",
      ["agent", "--tls-dir", join(certificates, "agent")],
      join(certificates, "agent", "tls.crt"),
    ],
    ["two files of three", ["manager", "--ca-file", "a", "--key-file", "c"], "without --cert-file"],
    ["both ways", ["coordinator", "--tls-dir", certificates, "--key-file", "c"], "--tls-dir and --key-file"],
    ["another's certificate", ["coordinator", "--tls-dir", join(certificates, "client")], "for the role client"],
    ["no certificate, for another machine", ["agent", "--coordinator", "10.0.0.1:1"], "10.0.0.1:1 without TLS"],
  ])("says at once what is wrong with %s, and exits with 2", async (_what, args, words) => {
    const { code, stdout, stderr } = await heddle([
      ...args,
      ...(args[0] === "agent" ? [] : ["--listen", "127.0.0.1:0"]),
    ]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(words);
  });
});

describe("heddle token", () => {
  test("prints the secret of this user's server, which lets a client in that cannot find it", async () => {
    const { address } = await up("--listen", "127.0.0.1:0");
    const { code, stdout, stderr } = await heddle(["token", "--address", address]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${findLocalToken(address)}\n` });
    expect(stderr).toContain("HEDDLE_TOKEN");
    const elsewhere = { HEDDLE_ADDRESS: address, XDG_RUNTIME_DIR: mkdtempSync(join(scratch, "elsewhere-")) };
    const refused = await heddle(["status"], elsewhere);
    expect(refused).toMatchObject({ code: 4, stdout: "" });
    expect(refused.stderr).toContain(elsewhere.XDG_RUNTIME_DIR);
    expect(await heddle(["status"], { ...elsewhere, HEDDLE_TOKEN: stdout.trim() })).toMatchObject({ code: 0 });
    expect(await heddle(["status"], { ...elsewhere, HEDDLE_TOKEN: "A".repeat(43) })).toMatchObject({ code: 4 });
  });

  test("says why there is none", async () => {
    for (const [address, words] of [
      ["127.0.0.1:1", join(scratch, "login", "heddle", "tokens")],
      ["unix:/tmp/x", "socket file"],
      ["10.0.0.1:1", "certificates"],
    ] as const) {
      const { code, stdout, stderr } = await heddle(["token", "--address", address]);
      expect({ code, stdout }).toEqual({ code: 3, stdout: "" });
      expect(stderr).toContain(words);
    }
  });
});

test("another local user is refused: at the coordinator with or without a secret of their own, and at the manager's socket", async (context) => {
  if (process.getuid?.() !== 0) return context.skip("only root can become another user");
  const { address } = await up("--listen", "127.0.0.1:0");
  const { manager } = JSON.parse((await heddle(["status", "-o", "json", "--address", address])).stdout);
  expect(manager).toMatch(/^unix:/);
  const login = join(scratch, "their-login");
  mkdirSync(login, { mode: 0o755 });
  const planted = { address, token: "A".repeat(43), pids: [process.pid] };
  const script = `const { mkdirSync, writeFileSync } = require("node:fs");
    mkdirSync("${login}/heddle/tokens", { recursive: true, mode: 0o700 });
    writeFileSync("${login}/heddle/tokens/${address.replace(":", "_")}.json", ${JSON.stringify(JSON.stringify(planted))}, { mode: 0o600 });`;
  chmodSync(login, 0o777);
  await runAsNobody(script);
  for (const [surroundings, target] of [
    [{}, address],
    [{ XDG_RUNTIME_DIR: login }, address],
    [{ HEDDLE_TOKEN: "A".repeat(43) }, address],
    [{}, String(manager)],
  ] as const) {
    const ran = await heddle(["get", "nodes", "--address", target], { XDG_RUNTIME_DIR: "", ...surroundings }, NOBODY);
    expect([ran.stdout, ran.stderr.split("\n").length]).toEqual(["", 2]);
    expect(ran.code).toBe(4);
  }
  expect((await heddle(["get", "nodes", "--address", address])).code).toBe(0);
});

describe("secrets", () => {
  const script = fileURLToPath(new URL("../testdata/look-around.ts", import.meta.url));

  /** What nobody is to see: the token, or what is inside the PEM of every key. */
  const secretsOf = ({ address, tlsDir }: Up, data: string): readonly string[] => {
    if (tlsDir === "") return [findLocalToken(address) ?? "none"];
    const keys = ["ca/ca.key", ...["coordinator", "agent", "client", "admin"].map((party) => `${party}/tls.key`)];
    return keys.map((key) => readFileSync(join(data, "tls", key), "utf8").split("\n")[1] ?? "none");
  };

  test.each([
    ["a token", []],
    ["TLS", ["--tls"]],
  ])(
    "of a fabric with %s are in no arguments, environment, open file or log, and no task sees them",
    async (_kind, flags) => {
      const data = mkdtempSync(join(scratch, "data-"));
      const running = await up("--listen", "127.0.0.1:0", "--data-dir", data, ...flags);
      const { pid, address, tlsDir } = running;
      const secrets = secretsOf(running, data);
      for (const secret of secrets) expect(secret.length).toBeGreaterThan(40);
      const client = { HEDDLE_ADDRESS: address, ...(tlsDir === "" ? {} : { HEDDLE_TLS_DIR: tlsDir }) };
      const shown = tlsDir === "" ? { ...client, HEDDLE_TOKEN: secrets[0] ?? "" } : client;
      const ran = await heddle(["run", script], shown);
      expect(ran).toMatchObject({ code: 0, stderr: "" });
      const refused = await heddle(["status"], { HEDDLE_ADDRESS: address, HEDDLE_TOKEN: "A".repeat(43) });
      expect(refused.code).toBe(4);
      const seen = JSON.parse(ran.stdout);
      for (const open of [...seen.worker.files, ...seen.agent.files]) expect(open).not.toMatch(/tls\.key|\/tokens\//);
      expect(Object.keys(seen.environment).filter((name) => /TOKEN|TLS|KEY/.test(name))).toEqual([]);
      const servers = [pid, ...descendants(pid)].flatMap((each) => [`/proc/${each}/cmdline`, `/proc/${each}/environ`]);
      const places = [ran.stdout, refused.stderr, running.said(), ...servers.map((path) => readFileSync(path, "utf8"))];
      expect(servers.length).toBeGreaterThanOrEqual(8);
      for (const secret of secrets) for (const place of places) expect(place.includes(secret)).toBe(false);
      await eventually("the refusal is in the log", 30_000, () => running.said().includes("refused") || undefined);
    },
  );
});

/** Runs a script of CommonJS as the user nobody. */
async function runAsNobody(script: string): Promise<void> {
  await promisify(execFile)(process.execPath, ["-e", script], { uid: NOBODY, gid: NOBODY });
}
