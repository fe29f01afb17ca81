import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { unaryRoute } from "@heddle/port-rpc";
import { adminGetStatus, GetStatusResponse } from "@heddle/wire";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { localServer } from "../../harness/local-rpc.ts";
import { PrivateNetwork, whyNoNetwork } from "../../harness/private-network.ts";
import { Program } from "../../harness/program.ts";

const scratch = mkdtempSync(join(tmpdir(), "heddle-plaintext-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

vi.setConfig({ testTimeout: 120_000 }); // many programs, which take turns on a small machine

const secret = "the-secret-nobody-beyond-this-machine-knows";
const port = 7433;

interface Dialled {
  readonly said: readonly (readonly string[])[];
  readonly packets: number;
}

describe("S04: a client beyond loopback without TLS refuses before anything leaves:", () => {
  let network: PrivateNetwork | undefined;
  beforeAll(async () => {
    if (whyNoNetwork === undefined) network = await PrivateNetwork.open();
  });
  afterAll(() => network?.[Symbol.asyncDispose]());
  beforeEach((context) => {
    if (whyNoNetwork !== undefined) context.skip(whyNoNetwork);
  });

  function there(): PrivateNetwork {
    if (network === undefined) throw new Error("there is no network");
    return network;
  }

  /** What dials.ts says of each address, in the network, and how many packets left meanwhile. */
  async function dials(kind: string, ...addresses: readonly string[]): Promise<Dialled> {
    const script = join(import.meta.dirname, "../scripts/dials.ts");
    const command = [process.execPath, "--conditions=@heddle/source", script, kind, ...addresses];
    const [program, ...args] = [...there().within, ...command];
    const before = there().packets;
    const env = { ...process.env, RES_OPTIONS: "timeout:1 attempts:1" }; // no name server answers
    const { stdout } = await promisify(execFile)(program, args, { env });
    return { said: JSON.parse(stdout) as string[][], packets: there().packets - before };
  }

  test("the counters see whatever leaves, be it to somebody who could listen, to nobody or to a name server", async () => {
    for (const address of [`${PrivateNetwork.ADDRESS}:${port}`, "192.0.2.1:80", `fabric.example:${port}`])
      expect((await dials("raw", address)).packets).toBeGreaterThan(0);
  });

  test("a program, with a token or without, whatever the address looks like", async () => {
    const addresses = [
      `${PrivateNetwork.ADDRESS}:${port}`,
      "192.0.2.1:7433",
      "0.0.0.0:7433",
      "[2001:db8::1]:7433",
      "[::ffff:192.0.2.1]:7433",
      `fabric.example:${port}`, // its name would have to be looked up
      `localhost.example:${port}`,
      `127.0.0.1.example:${port}`,
    ];
    const { said, packets } = await dials("heddle", ...addresses);
    expect([said.length, packets]).toEqual([addresses.length, 0]);
    for (const [at, address] of addresses.entries()) {
      expect(said[at]?.length).toBe(5);
      for (const refusal of said[at] ?? []) {
        expect(refusal).toMatch(/^PermissionError: /);
        expect(refusal).toContain(address);
        expect(refusal).toMatch(/heddle certs/);
        expect(refusal).not.toContain(secret);
      }
    }
  });

  test("the commands, with exit codes and words", async () => {
    const before = there().packets;
    const { within } = there();
    const address = `${PrivateNetwork.ADDRESS}:${port}`;
    const runs: readonly (readonly [args: readonly string[], code: number])[] = [
      [["status", "--address", address], 4],
      [["get", "locks", "--address", address], 4],
      [["agent", "--coordinator", address], 2],
      [["coordinator", "--listen", `unix:${join(scratch, "c.sock")}`, "--manager", address], 2],
    ];
    await Promise.all(
      runs.map(async ([args, code]) => {
        await using program = new Program(args, { within, env: { HEDDLE_TOKEN: secret, XDG_RUNTIME_DIR: scratch } });
        expect([args, await program.code()]).toEqual([args, code]);
        expect(program.said).toMatch(/TLS/);
        expect(program.said).toContain(address);
        expect(program.said).not.toContain(secret);
      }),
    );
    expect(there().packets).toBe(before);
  });

  test("a client whose fabric is on this machine, and says that its manager is not", async () => {
    const status = unaryRoute(adminGetStatus, async () =>
      GetStatusResponse.fromPartial({ manager: `${PrivateNetwork.ADDRESS}:${port}` }),
    );
    await using server = await localServer().listen(`unix:${join(scratch, "liar.sock")}`, [status]);
    const { said, packets } = await dials("manager", server.address);
    expect([said, packets]).toEqual([[[expect.stringMatching(/^\w+Error: /)]], 0]);
  });
});

/** Ports that anybody of this machine listens at over TCP, in hexadecimal. */
function listening(): readonly string[] {
  return ["tcp", "tcp6"].flatMap((table) =>
    readFileSync(`/proc/net/${table}`, "utf8")
      .split("\n")
      .filter((line) => /^\s*\d+: \S+ \S+ 0A /.test(line))
      .map((line) => line.trim().split(/\s+/)[1]?.split(":")[1] ?? ""),
  );
}

/** Whether anybody listens at the port while `doing` goes on. */
async function sighted(wanted: number, doing: () => Promise<unknown>): Promise<boolean> {
  const hex = wanted.toString(16).toUpperCase().padStart(4, "0");
  let isSighted = false;
  const look = setInterval(() => {
    isSighted ||= listening().includes(hex);
  }, 5);
  await doing();
  clearInterval(look);
  return isSighted;
}

test("S04: a server that other machines could reach refuses to start without TLS: it exits with 2, says how it would, and has listened to nobody", async () => {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const free = (probe.address() as AddressInfo).port;
  await expect.poll(() => sighted(free, () => new Promise((resolve) => setTimeout(resolve, 20)))).toBe(true);
  await new Promise((resolve) => probe.close(resolve));

  const starts: readonly (readonly [party: string, host: string])[] = [
    ["coordinator", "0.0.0.0"],
    ["manager", "0.0.0.0"],
    ["up", "0.0.0.0"],
    ["coordinator", "[::]"],
    ["manager", "[::]"],
    ["coordinator", hostname()],
    ["manager", "192.0.2.1"],
  ];
  const refuses = async ([party, host]: readonly [string, string]): Promise<void> => {
    const listen = `${host}:${free}`;
    const data = mkdtempSync(join(scratch, "data-"));
    const flags = ["--listen", listen, "--data-dir", data, "--address-file", join(data, "address.json")];
    await using program = new Program([party, ...flags], { env: { HEDDLE_TOKEN: secret, XDG_RUNTIME_DIR: data } });
    expect([party, host, await program.code()]).toEqual([party, host, 2]);
    expect(program.said).toContain(listen);
    expect(program.said).toMatch(/heddle certs init|--tls/);
    expect(program.said).not.toContain(secret);
    expect(program.said).not.toContain("serves at");
    expect(readdirSync(data)).not.toContain("address.json");
  };
  expect(await sighted(free, () => Promise.all(starts.map(refuses)))).toBe(false);
});
