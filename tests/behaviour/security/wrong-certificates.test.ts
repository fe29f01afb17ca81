import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openAuthority, type TestCertificate } from "@heddle/adapter-grpc/testing";
import type { TlsFiles } from "@heddle/port-rpc";
import { AttachRequest, nodesAttach, OperateRequest, objectsOperate, protocolVersion } from "@heddle/wire";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { Program } from "../../harness/program.ts";
import { eventually } from "../../harness/waiting.ts";
import { type Outcome, RawConnection } from "./raw-request.ts";

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 }); // many programs, which take turns on a small machine

const authority = openAuthority();
const stranger = openAuthority("somebody else");
const scope = new AsyncDisposableStack();
const scratch = mkdtempSync(join(tmpdir(), "heddle-wrong-certificates-"));
const parties = ["coordinator", "manager"] as const;
type Party = (typeof parties)[number];
const servers = new Map<Party, { readonly program: Program; readonly address: string }>();

beforeAll(async () => {
  scope.defer(() => rmSync(scratch, { recursive: true, force: true }));
  const manager = await start("manager", ["--data-dir", join(scratch, "manager")]);
  await start("coordinator", ["--manager", manager]);
});
afterAll(async () => {
  await scope.disposeAsync();
  authority[Symbol.dispose]();
  stranger[Symbol.dispose]();
});

async function start(party: Party, flags: readonly string[]): Promise<string> {
  const file = join(scratch, `${party}.json`);
  const own = ["--listen", "127.0.0.1:0", "--address-file", file, "--log-level", "debug", "--drain-ms", "100"];
  const { directory } = authority.issue(party, "the-one");
  const program = scope.use(new Program([party, ...own, "--tls-dir", directory, ...flags]));
  const { address } = await program.address(file);
  servers.set(party, { program, address });
  return address;
}

function server(party: Party): { readonly program: Program; readonly address: string } {
  const found = servers.get(party);
  if (found === undefined) throw new Error(`there is no ${party}`);
  return found;
}

/** A message as gRPC frames it. */
function framed(bytes: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

let sessions = 0;

/** What a node says first, or a client of the manager: whoever hears it has a node, or a session, more. */
function greeting(party: Party, name: string): { readonly path: string; readonly body: Buffer } {
  const sessionId = (++sessions).toString(16).padStart(32, "0");
  const hello = {
    control: { kind: { $case: "hello" as const, value: { version: protocolVersion("test", 24), sessionId } } },
  };
  if (party === "coordinator") {
    const value = { name, slots: 1, pid: 1, host: "nowhere", build: "test" };
    const registered = { sequence: 1, entries: [{ kind: { $case: "registerNode" as const, value } }] };
    const said = [AttachRequest.fromPartial(hello), AttachRequest.fromPartial(registered)];
    return { path: nodesAttach.path, body: bodyOf(said.map((each) => nodesAttach.request.encode(each).finish())) };
  }
  const value = { nonce: sessionId, ttlMs: 60_000, description: name };
  const opened = { sequence: 1, entries: [{ kind: { $case: "openSession" as const, value } }] };
  const said = [OperateRequest.fromPartial(hello), OperateRequest.fromPartial(opened)];
  return { path: objectsOperate.path, body: bodyOf(said.map((each) => objectsOperate.request.encode(each).finish())) };
}

const bodyOf = (messages: readonly Uint8Array[]): Buffer => Buffer.concat(messages.map(framed));

/** What an operator is shown of those that were heard. */
async function heard(): Promise<{ readonly nodes: string; readonly sessions: string }> {
  const tls = authority.issue("admin", "operator").directory;
  const shown = async (what: string): Promise<string> => {
    await using program = new Program(["get", what, "-o", "json", "--address", server("coordinator").address], {
      env: { HEDDLE_TLS_DIR: tls },
    });
    expect(await program.code()).toBe(0);
    return program.said;
  };
  return { nodes: await shown("nodes"), sessions: await shown("sessions") };
}

/** Says the greeting; gives what came of it, and the new refusals in the server's log. */
async function greet(
  party: Party,
  files: TlsFiles,
  isShown: boolean,
): Promise<{ readonly outcome: Outcome; readonly refused: readonly string[] }> {
  const { program, address } = server(party);
  const before = program.logged("refused").length;
  await using connection = new RawConnection(address, files, isShown);
  const { path, body } = greeting(party, "intruder");
  const outcome = await connection.ask(path, true, body);
  const refused = await eventually("the refusal is in the log", () => {
    const lines = program.logged("refused").slice(before);
    return lines.length > 0 ? lines : undefined;
  });
  return { outcome, refused };
}

interface Outsider {
  readonly files: () => TlsFiles;
  /** Unless false. */
  readonly isShown?: boolean;
  readonly outcome: object;
  /** In the line about it, of the log of each server. */
  readonly why: RegExp;
}

const believed = (role: string, more?: TestCertificate): TlsFiles => authority.issue(role, "intruder", more);
const cut = { type: "no-connection" };
const outsiders: readonly (readonly [string, Outsider])[] = [
  ["no certificate", { files: () => believed("agent"), isShown: false, outcome: cut, why: /handshake failed/ }],
  [
    "one of another authority",
    {
      files: () => stranger.issue("agent", "intruder", { believes: authority }),
      outcome: cut,
      why: /handshake failed.*(UNABLE|SELF_SIGNED|issuer)/i,
    },
  ],
  [
    "one that has expired",
    { files: () => believed("agent", { fromHours: -3, toHours: -1 }), outcome: cut, why: /EXPIRED/ },
  ],
  [
    "one that is not valid yet",
    { files: () => believed("agent", { fromHours: 1, toHours: 3 }), outcome: cut, why: /NOT_YET/ },
  ],
  [
    "one of a role that has no business there",
    { files: () => believed("manager"), outcome: { type: "status", status: 7 }, why: /no manager may/ },
  ],
  [
    "one without a role",
    { files: () => believed("agent", { uris: [] }), outcome: { type: "status", status: 16 }, why: /exactly one URI/ },
  ],
];

describe.each(parties)("the %s, as a program,", (party) => {
  test.each(outsiders)("S01: does not hear who shows %s, and says so in its log once", async (_what, outsider) => {
    const { files, isShown = true } = outsider;
    const { outcome, refused } = await greet(party, files(), isShown);
    expect(outcome).toMatchObject(outsider.outcome);
    expect(refused).toEqual([expect.stringMatching(outsider.why)]);
    expect(refused[0]).toMatch(/ peer=127\.0\.0\.1:\d+ /);
    expect(server(party).program.said).not.toContain("BEGIN");
  });
});

test("S01: a client's certificate is no agent's, though the same words with an agent's make a node", async () => {
  const { program, address } = server("coordinator");
  const { outcome, refused } = await greet("coordinator", believed("client"), true);
  expect(outcome).toMatchObject({ type: "status", status: 7 });
  expect(refused).toEqual([expect.stringMatching(/client \\"intruder\\" may not call \/heddle\.v1\.Nodes\/Attach/)]);
  expect(await heard()).toEqual({ nodes: "[]\n", sessions: "[]\n" }); // of all those that were refused before, too
  const before = program.logged("refused").length;
  const files = authority.issue("agent", "honest");
  await using connection = new RawConnection(address, files);
  const { path, body } = greeting("coordinator", "honest");
  expect(await connection.ask(path, true, body)).toEqual({ type: "stream" });
  await eventually("the node is there", () => program.logged("node joined")[0]);
  expect(program.logged("refused").length).toBe(before);
});

test("S01: an agent that is started with a client's certificate says so, and exits with 2", async () => {
  const { directory } = authority.issue("client", "somebody");
  await using agent = new Program(["agent", "--coordinator", server("coordinator").address, "--tls-dir", directory]);
  expect(await agent.code()).toBe(2);
  expect(agent.said).toContain("the role client");
});

test("S01: an agent whose certificate is for another node says so, and exits with 4 without having served", async () => {
  const { directory } = authority.issue("agent", "east-1");
  const { address, program } = server("coordinator");
  const words = ["agent", "--coordinator", address, "--tls-dir", directory, "--name", "east-2"];
  await using agent = new Program(words);
  expect(await agent.code()).toBe(4);
  const why = 'agent "east-1" may not be the node east-2: the certificate is for nodes called east-1 or east-1-...';
  expect(agent.said).toContain(`no coordinator lets this agent in: ${why}`);
  expect(agent.said).not.toContain("serves");
  expect(program.logged("refused").at(-1)).toContain('who="agent \\"east-1\\"" path=/heddle.v1.Nodes/Attach');
});

test("S01: those who speak in clear to a server with certificates are cut, and it goes on", async () => {
  for (const party of parties) {
    const { address, program } = server(party);
    const before = program.logged("refused").length;
    const session = connect(`http://${address}`);
    session.on("error", () => undefined);
    await new Promise<void>((resolve) => session.once("close", resolve));
    await eventually("the refusal is in the log", () => program.logged("refused").length === before + 1 || undefined);
  }
  expect((await heard()).sessions).toBe("[]\n");
});
