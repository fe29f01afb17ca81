import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type IncomingHttpHeaders, type ServerHttp2Session } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeProof, PROOF_KEY, PROOF_NONCE_BYTES, PROOF_VALID_MS } from "@heddle/adapter-grpc/testing";
import { findLocalToken } from "@heddle/adapter-system";
import { adminGetStatus, adminListNodes, objectsAdminListSessions } from "@heddle/wire";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { Program } from "../../harness/program.ts";
import { eventually } from "../../harness/waiting.ts";

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 }); // many programs, which take turns on a small machine

const scratch = mkdtempSync(join(tmpdir(), "heddle-wrong-proofs-"));
const scope = new AsyncDisposableStack();
const env = { XDG_RUNTIME_DIR: join(scratch, "login") };
const path = adminGetStatus.path;

type Answer = Readonly<Record<string, unknown>>;

interface Server {
  readonly program: Program;
  readonly address: string;
  readonly token: string;
}
let coordinator: Server;
let manager: Server;

beforeAll(async () => {
  scope.defer(() => rmSync(scratch, { recursive: true, force: true }));
  mkdirSync(env.XDG_RUNTIME_DIR, { mode: 0o700 });
  vi.stubEnv("XDG_RUNTIME_DIR", env.XDG_RUNTIME_DIR);
  manager = await start("manager", "127.0.0.1:0", ["--data-dir", join(scratch, "manager")]);
  coordinator = await start("coordinator", "127.0.0.1:0", ["--manager", manager.address]);
});
afterAll(async () => {
  await scope.disposeAsync();
  vi.unstubAllEnvs();
});
/** At the most talkative level there is. */
afterEach(() => {
  for (const { program } of [coordinator, manager])
    for (const { token } of [coordinator, manager]) expect(program.said.includes(token)).toBe(false);
});

async function start(party: "coordinator" | "manager", listen: string, flags: readonly string[]): Promise<Server> {
  const file = join(scratch, `${party}-${performance.now()}.json`);
  const own = ["--listen", listen, "--address-file", file, "--log-level", "debug", "--drain-ms", "100"];
  const program = scope.use(new Program([party, ...own, ...flags], { env }));
  const { address } = await program.address(file);
  return { program, address, token: findLocalToken(address) ?? "none" };
}

/** What came of a request: headers and trailers, or nothing but the end of its stream or connection. */
async function ask(address: string, asked: string, more: Readonly<Record<string, string>>): Promise<Answer> {
  return (await request(address, asked, more)).answer;
}

/** The same, with the port that it came from. */
async function request(
  address: string,
  asked: string,
  more: Readonly<Record<string, string>>,
): Promise<{ readonly answer: Answer; readonly port: number | undefined }> {
  const session = connect(`http://${address}`);
  session.on("error", () => undefined);
  await once(session, "connect");
  const port = session.socket.localPort;
  try {
    const stream = session.request({
      ":method": "POST",
      ":path": asked,
      "content-type": "application/grpc+proto",
      te: "trailers",
      ...more,
    });
    let got: IncomingHttpHeaders = {};
    for (const event of ["response", "trailers"] as const)
      stream.on(event, (headers: IncomingHttpHeaders) => {
        got = { ...got, ...headers };
      });
    stream.on("error", () => undefined).resume();
    stream.end(Buffer.alloc(5)); // an empty message
    await new Promise<void>((resolve) => stream.once("close", resolve));
    return { answer: Object.fromEntries(Object.entries(got)), port }; // without the symbol of http2
  } finally {
    session.destroy();
  }
}

const fresh = (token: string, asked = path, offMs = 0): string =>
  makeProof(token, asked, Date.now() + offMs, randomBytes(PROOF_NONCE_BYTES));
const withProof = (proof: string): Readonly<Record<string, string>> => ({ [PROOF_KEY]: proof });

/** One character of the proof's last part is another; the last of all has bits that do not count, so the one before. */
function bent(proof: string): string {
  const at = proof.length - 2;
  return `${proof.slice(0, at)}${proof[at] === "A" ? "B" : "A"}${proof.slice(at + 1)}`;
}

async function used(): Promise<string> {
  const proof = fresh(coordinator.token);
  expect((await ask(coordinator.address, path, withProof(proof)))["grpc-status"]).toBe("0");
  return proof;
}

const wrong: readonly (readonly [
  string,
  () => Readonly<Record<string, string>> | Promise<Readonly<Record<string, string>>>,
])[] = [
  ["that is too old", () => withProof(fresh(coordinator.token, path, -PROOF_VALID_MS - 5_000))],
  ["from the future", () => withProof(fresh(coordinator.token, path, PROOF_VALID_MS + 5_000))],
  ["with another MAC", () => withProof(bent(fresh(coordinator.token)))],
  ["whose time was changed", () => withProof(fresh(coordinator.token).replace(/^1\.\d+/, `1.${Date.now() + 1}`))],
  ["for another method", () => withProof(fresh(coordinator.token, adminListNodes.path))],
  ["that was used before", async () => withProof(await used())],
  ["of another server's token", () => withProof(fresh(manager.token))],
  ["of a token that is empty", () => withProof(fresh(""))],
  ["of another version", () => withProof(fresh(coordinator.token).replace(/^1/, "0"))],
  ["that says no algorithm", () => withProof(fresh(coordinator.token).replace(/[^.]+$/, ""))],
  ["that is garbage", () => withProof(randomBytes(64).toString("base64"))],
  ["of thousands of bytes", () => withProof(`1.${"9".repeat(12_000)}`)],
  ["twice", () => ({ [PROOF_KEY]: `${fresh(coordinator.token)}, ${fresh(coordinator.token)}` })],
  ["that is the token itself", () => withProof(coordinator.token)],
  ["as a bearer of the token", () => ({ authorization: `Bearer ${coordinator.token}` })],
  ["that is a server's", async () => withProof(await serverProof())],
  ["at all", () => ({})],
];

async function serverProof(): Promise<string> {
  const answer = await ask(coordinator.address, path, withProof(fresh(coordinator.token)));
  return String(answer[PROOF_KEY]);
}

const UNAVAILABLE = "14";
const UNAUTHENTICATED = "16";
/** All of the answer but what says when it was. */
const refusal = {
  ":status": 200,
  "content-type": "application/grpc+proto",
  "grpc-status": UNAUTHENTICATED,
  "grpc-message": encodeURI("no good proof came of this server's token"),
  "heddle-code": "authentication",
  date: expect.any(String),
};

test.each(wrong)(
  "S03: a proof %s is refused in the same words as any other, and nothing of it is logged",
  async (_what, make) => {
    const headers = await make();
    const { answer, port } = await request(coordinator.address, path, headers);
    expect(answer).toEqual(refusal);
    const lines = await eventually("the refusal is in the log", () => {
      const own = coordinator.program.logged("refused").filter((line) => line.includes(`127.0.0.1:${port} `));
      return own.length > 0 ? own : undefined;
    });
    expect(lines).toEqual([expect.stringMatching(/ peer=127\.0\.0\.1:\d+ path=\/heddle\.v1\.Admin\/GetStatus why=/)]);
    for (const value of Object.values(headers)) expect(lines[0]?.includes(value.slice(-30))).toBe(false);
  },
);

test("S03: a proof of megabytes is cut before anyone reads it", async () => {
  for (const megabytes of [1, 16]) {
    const answer = await ask(coordinator.address, path, withProof("A".repeat(megabytes * 1024 * 1024)));
    expect(answer["grpc-status"]).toBeUndefined();
  }
  expect((await ask(coordinator.address, path, withProof(fresh(coordinator.token))))["grpc-status"]).toBe("0");
});

test("S03: the proof of each server is good there, and at the other it is not", async () => {
  const asked = objectsAdminListSessions.path;
  for (const { address, token } of [coordinator, manager]) {
    expect(await ask(address, asked, withProof(fresh(token, asked)))).toMatchObject({ "grpc-status": "0" });
    const other = token === manager.token ? coordinator : manager;
    const answer = await ask(other.address, asked, withProof(fresh(token, asked)));
    expect(answer).toEqual(refusal);
  }
});

test("S03: a client with a wrong token is told so, with exit code 4, and neither it nor the server writes either token", async () => {
  const guessed = randomBytes(32).toString("base64url");
  for (const args of [["status"], ["get", "nodes"], ["get", "locks"]]) {
    const surroundings = { ...env, HEDDLE_ADDRESS: coordinator.address, HEDDLE_TOKEN: guessed };
    await using client = new Program(args, { env: surroundings });
    expect(await client.code()).toBe(4);
    expect(client.said).toContain("refused the proof of the token");
    for (const said of [client.said, coordinator.program.said, manager.program.said])
      for (const secret of [guessed, coordinator.token]) expect(said.includes(secret)).toBe(false);
  }
});

test("S03: proofs that somebody has come by at the address of a server that was killed are of no use at the next one there", async () => {
  const first = await start("coordinator", "127.0.0.1:0", []);
  const { pid } = first.program.child;
  process.kill(pid ?? 0, "SIGKILL");
  await once(first.program.child, "exit");
  const caught = Promise.withResolvers<Readonly<Record<string, string>>>();
  const squatter = createServer().on("stream", (_stream, { [PROOF_KEY]: proof, ":path": asked }) =>
    caught.resolve({ proof: String(proof), asked: String(asked) }),
  );
  const sessions = new Set<ServerHttp2Session>();
  squatter.on("session", (session) => sessions.add(session.on("error", () => undefined)));
  squatter.listen(Number(first.address.split(":")[1]), "127.0.0.1");
  await once(squatter, "listening");
  const client = new Program(["status"], { env: { ...env, HEDDLE_ADDRESS: first.address } });
  const { proof = "", asked = "" } = await caught.promise;
  client.child.kill("SIGKILL");
  for (const session of sessions) session.destroy();
  await new Promise((resolve) => squatter.close(resolve));
  const second = await start("coordinator", first.address, []);
  expect(second.token).toBe(first.token); // its clients go on
  const answer = await ask(second.address, asked, withProof(proof));
  expect(answer).toMatchObject({ "grpc-status": UNAVAILABLE });
  expect(answer[PROOF_KEY]).toBeUndefined();
  expect(await ask(second.address, path, withProof(fresh(second.token)))).toMatchObject({ "grpc-status": "0" });
});
