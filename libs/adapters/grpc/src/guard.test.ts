import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { ClientHttp2Session, IncomingHttpHeaders, SecureClientSessionOptions } from "node:http2";
import { connect, TLSSocket } from "node:tls";
import { ConflictError, InvalidArgumentError, type Role, roles } from "@heddle/kernel";
import { type Caller, type Listening, streamRoute, type TlsFiles, thisUser, unaryRoute } from "@heddle/port-rpc";
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { GrpcServerOptions, LocalTokens } from "./index.ts";
import { checkServerProof, PROOF_KEY } from "./proof.ts";
import { openAuthority, type TestCertificate } from "./test-certificates.ts";
import { framed, grpcHeaders, http2To, http2ToUnix, post } from "./test-http2.ts";
import { askMethod, closeKept, portOf, proofHeader, serve, streamMethod } from "./test-kit.ts";
import { keptLog } from "./test-log.ts";
import { testToken } from "./testing.ts";

const authority = openAuthority();
const stranger = openAuthority("another authority");
afterAll(() => {
  authority[Symbol.dispose]();
  stranger[Symbol.dispose]();
});
const here = authority.issue("coordinator", "here");

let log = keptLog();
let callers: Caller[] = [];
beforeEach(() => {
  log = keptLog();
  callers = [];
});
afterEach(closeKept);
afterEach(() => vi.useRealTimers());

const access: ReadonlyMap<string, readonly Role[]> = new Map<string, readonly Role[]>([
  [streamMethod.path, ["agent"]],
  [askMethod.path, ["client", "admin"]],
  ["/grpc.health.v1.Health/Check", roles],
  ["/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", ["admin"]],
]);
const failing = { ...askMethod, path: "/test.Server/Fail" };

function target(options: Partial<GrpcServerOptions>, address = "127.0.0.1:0"): Promise<Listening> {
  const routes = [
    streamRoute(streamMethod, (link) => {
      if (link.caller !== undefined) callers.push(link.caller);
      link.send(Uint8Array.of(1));
    }),
    unaryRoute(askMethod, async (request, caller) => {
      callers.push(caller);
      return request;
    }),
    unaryRoute(failing, async () => {
      throw new ConflictError("not twice");
    }),
  ];
  return serve(address, routes, { access, log: log.logger, ...options });
}

function optionsOf(files: TlsFiles): SecureClientSessionOptions {
  return { ca: readFileSync(files.caFile), cert: readFileSync(files.certFile), key: readFileSync(files.keyFile) };
}

/** What came first of a stream that is left open, or of its refusal. */
async function open(session: ClientHttp2Session, path: string, headers = {}): Promise<IncomingHttpHeaders> {
  const stream = session.request({ ...grpcHeaders(path), ...headers });
  stream.on("error", () => undefined);
  const [response] = (await once(stream, "response")) as [IncomingHttpHeaders];
  return response;
}

/** Over, by whatever. */
function closed(socket: TLSSocket): Promise<void> {
  socket.on("error", () => undefined).resume();
  return new Promise((resolve) => socket.once("close", () => resolve()));
}

const question = framed(Uint8Array.of(5));
const askPath = askMethod.path;

describe("over mTLS", () => {
  test.each(roles)(
    "a caller of the role %s is answered what the table allows, and refused anything else",
    async (role) => {
      const { address } = await target({ tls: here });
      const session = await http2To(address, optionsOf(authority.issue(role, "x")));
      const stream = await open(session, streamMethod.path);
      const answer = await post(session, grpcHeaders(askPath), question);
      const unknown = await post(session, grpcHeaders("/heddle.v1.No/Such"), question);
      const reflection = await post(
        session,
        grpcHeaders("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"),
        framed(Buffer.alloc(0)),
      );
      const mayStream = role === "agent";
      const mayAsk = role === "client" || role === "admin";
      expect(stream["grpc-status"]).toBe(mayStream ? undefined : "7");
      expect(answer["grpc-status"]).toBe(mayAsk ? "0" : "7");
      expect(unknown["grpc-status"]).toBe("7");
      expect(unknown["heddle-code"]).toBe("permission");
      expect(decodeURI(String(unknown["grpc-message"]))).toBe(
        `${role} "x" may not call /heddle.v1.No/Such: no ${role} may`,
      );
      expect(reflection["grpc-status"]).toBe(role === "admin" ? "0" : "7");
      expect(
        (await post(session, grpcHeaders("/grpc.health.v1.Health/Check"), framed(Buffer.alloc(0))))["grpc-status"],
      ).toBe("0");
      expect(callers).toEqual(mayStream || mayAsk ? [{ role, name: "x" }] : []);
      const refused = [unknown, stream, answer, reflection].filter((got) => got["grpc-status"] === "7");
      expect(log.of("refused").length).toBe(refused.length);
      expect(log.of("refused")).toContainEqual({
        peer: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
        who: `${role} "x"`,
        path: "/heddle.v1.No/Such",
        why: `${role} "x" may not call /heddle.v1.No/Such: no ${role} may`,
      });
    },
  );

  const uses = (...names: ("clientAuth" | "serverAuth")[]): TestCertificate => ({ uses: names });
  test.each<[string, () => SecureClientSessionOptions, string]>([
    ["none at all", () => ({ ca: readFileSync(here.caFile) }), "PEER_DID_NOT_RETURN_A_CERTIFICATE"],
    [
      "one of another authority",
      () => optionsOf(stranger.issue("admin", "eve", { believes: authority })),
      "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    ],
    [
      "one that has expired",
      () => optionsOf(authority.issue("client", "a", { fromHours: -3, toHours: -1 })),
      "CERT_HAS_EXPIRED",
    ],
    [
      "one that is not valid yet",
      () => optionsOf(authority.issue("client", "a", { fromHours: 1 })),
      "CERT_NOT_YET_VALID",
    ],
    ["one for servers alone", () => optionsOf(authority.issue("manager", "a", uses("serverAuth"))), "INVALID_PURPOSE"],
    [
      "no TLS 1.3",
      () => ({ ...optionsOf(authority.issue("client", "a")), maxVersion: "TLSv1.2" }),
      "UNSUPPORTED_PROTOCOL",
    ],
  ])("a peer with %s gets no connection, and one line says why", async (_what, options, why) => {
    const { address } = await target({ tls: here });
    const socket = connect({ ...options(), host: "127.0.0.1", port: portOf(address), ALPNProtocols: ["h2"] });
    await closed(socket);
    const [line] = await log.until("refused");
    expect(line?.why).toContain("TLS handshake failed");
    expect(line?.why).toContain(why);
    expect(callers).toEqual([]);
  });

  test.each<[string, readonly string[], string]>([
    ["no role", [], "it has no URI"],
    [
      "two roles",
      ["spiffe://heddle/client/a", "spiffe://heddle/admin/a"],
      "spiffe://heddle/client/a, URI:spiffe://heddle/admin/a",
    ],
    ["a role that there is none of", ["spiffe://heddle/root/a"], "spiffe://heddle/root/a"],
  ])("a certificate of %s is nobody: every request is refused, health too", async (_what, uris, words) => {
    const { address } = await target({ tls: here });
    const session = await http2To(address, optionsOf(authority.issue("client", "a", { uris })));
    for (const path of [askPath, "/grpc.health.v1.Health/Check", "/no.Such/Thing"]) {
      const got = await post(session, grpcHeaders(path), question);
      expect([got["grpc-status"], got["heddle-code"]]).toEqual(["16", "authentication"]);
      expect(decodeURI(String(got["grpc-message"]))).toContain(words);
    }
    expect(callers).toEqual([]);
    const lines = log.of("refused").map(({ why }) => String(why));
    expect(lines.length).toBe(3);
    for (const line of lines)
      expect(line).toMatch(/; the certificate of "CN=test leaf", issued by "CN=test authority"$/);
  });

  test("a token is of no use, and a proof no harm", async () => {
    const { address } = await target({ tls: here });
    const session = await http2To(address, optionsOf(authority.issue("agent", "a")));
    const got = await post(session, { ...grpcHeaders(askPath), ...proofHeader(askPath) }, question);
    expect(got["grpc-status"]).toBe("7");
  });

  test("what is plain gets nothing", async () => {
    const { address } = await target({ tls: here });
    await once(await http2To(address), "close");
    const [line] = await log.until("refused");
    expect(line?.why).toContain("TLS handshake failed");
  });

  test("a peer whose certificate runs out keeps its streams, and is sent away with its next request", async () => {
    const { address } = await target({ tls: here });
    const session = await http2To(address, optionsOf(authority.issue("agent", "a", { toHours: 1 })));
    const stream = session.request(grpcHeaders(streamMethod.path));
    await once(stream, "data");
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 61 * 60_000 });
    const goaway = once(session, "goaway");
    const refused = await open(session, streamMethod.path);
    expect([refused["grpc-status"], refused["heddle-code"]]).toEqual(["14", "unavailable"]);
    expect(decodeURI(String(refused["grpc-message"]))).toContain('the certificate of agent "a" has expired on ');
    await goaway;
    expect(stream.destroyed).toBe(false);
    expect(callers.length).toBe(1);
  });

  test("a server shows a renewed certificate to those who come later, and believes the authorities of then", async () => {
    const files = authority.issue("coordinator", "first");
    const { address } = await target({ tls: files, tlsPollMs: 10 });
    const alice = optionsOf(authority.issue("client", "alice"));
    const before = await http2To(address, alice);
    const shown = (session: ClientHttp2Session): string | undefined =>
      session.socket instanceof TLSSocket ? session.socket.getPeerX509Certificate()?.subjectAltName : undefined;
    expect(shown(before)).toContain("coordinator/first");
    authority.replace(files, authority.issue("coordinator", "second"));
    await log.until("tls files reloaded");
    expect(shown(await http2To(address, alice))).toContain("coordinator/second");
    authority.replace(files, stranger.issue("coordinator", "third"));
    await log.until("tls files reloaded", 2);
    const eve = optionsOf(stranger.issue("client", "eve"));
    expect(shown(await http2To(address, eve))).toContain("coordinator/third");
    const socket = connect({ ...alice, ca: eve.ca, host: "127.0.0.1", port: portOf(address), ALPNProtocols: ["h2"] });
    await closed(socket);
    expect((await log.until("refused"))[0]?.why).toContain("TLS handshake failed");
    expect((await post(before, grpcHeaders(askPath), question))["grpc-status"]).toBe("0");
  });

  test("a server whose files are no good does not start, and leaves no port taken", async () => {
    const files = authority.issue("coordinator", "x", { toHours: -0.5 });
    await expect(target({ tls: files })).rejects.toMatchObject({ name: "AuthenticationError" });
    const gone = { ...here, keyFile: "/nowhere/tls.key" };
    await expect(target({ tls: gone })).rejects.toThrow("/nowhere/tls.key");
  });

  test("a unix socket stays as it is: whoever can reach it is the user of the server", async () => {
    const { address } = await target({ tls: here }, `unix:${here.keyFile}.sock`);
    const session = await http2ToUnix(address);
    expect((await post(session, grpcHeaders(askPath), question))["grpc-status"]).toBe("0");
    expect((await post(session, grpcHeaders("/no.Such/Thing"), question))["grpc-status"]).toBe("12");
    expect(callers).toEqual([thisUser]);
  });
});

describe("with a token", () => {
  test("a request with a good proof is of this user, and the answer proves the server", async () => {
    const { address } = await target({});
    const session = await http2To(address);
    const headers = { ...grpcHeaders(askPath), ...proofHeader(askPath) };
    const answer = await post(session, headers, question);
    expect(answer["grpc-status"]).toBe("0");
    expect(checkServerProof(testToken, askPath, headers[PROOF_KEY], String(answer[PROOF_KEY]))).toBe(true);
    const proof = proofHeader(streamMethod.path);
    const first = await open(session, streamMethod.path, proof);
    expect(checkServerProof(testToken, streamMethod.path, proof[PROOF_KEY], String(first[PROOF_KEY]))).toBe(true);
    const fail = { ...grpcHeaders(failing.path), ...proofHeader(failing.path) };
    const error = await post(session, fail, question);
    expect(error["heddle-code"]).toBe("conflict");
    expect(checkServerProof(testToken, failing.path, fail[PROOF_KEY], String(error[PROOF_KEY]))).toBe(true);
    expect(callers).toEqual([thisUser, thisUser]);
    expect(log.of("refused")).toEqual([]);
  });

  test("any other request is refused in the same words, and the log tells why", async () => {
    const { address } = await target({});
    const session = await http2To(address);
    const good = proofHeader(askPath);
    await post(session, { ...grpcHeaders(askPath), ...good }, question);
    const wrong = [
      {},
      good,
      proofHeader(streamMethod.path),
      { [PROOF_KEY]: "" },
      { [PROOF_KEY]: "1.2.3.4" },
      { [PROOF_KEY]: [proofHeader(askPath)[PROOF_KEY], "x"] },
      { authorization: `Bearer ${testToken}` },
    ];
    const texts = new Set<string>();
    for (const headers of wrong) {
      const got = await post(session, { ...grpcHeaders(askPath), ...headers }, question);
      texts.add(`${got["grpc-status"]} ${got["heddle-code"]} ${decodeURI(String(got["grpc-message"]))}`);
      expect(got[PROOF_KEY]).toBeUndefined();
    }
    expect([...texts]).toEqual(["16 authentication no good proof came of this server's token"]);
    expect(callers.length).toBe(1);
    const reasons = log.of("refused").map(({ why }) => why);
    expect(reasons.length).toBe(wrong.length);
    expect(reasons.slice(0, 3)).toEqual([
      "no proof of the token",
      "a proof that was used before",
      "a proof of another token or for another method",
    ]);
    expect(JSON.stringify(log.of("refused"))).not.toContain(testToken);
  });

  test("health needs no proof; reflection and what is not known do", async () => {
    const { address } = await target({});
    const session = await http2To(address);
    const status = async (path: string, headers = {}): Promise<unknown> =>
      (await post(session, { ...grpcHeaders(path), ...headers }, framed(Buffer.alloc(0))))["grpc-status"];
    expect(await status("/grpc.health.v1.Health/Check")).toBe("0");
    const reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    expect(await status(reflection)).toBe("16");
    expect(await status(reflection, proofHeader(reflection))).toBe("0");
    expect(await status("/no.Such/Thing")).toBe("16");
    expect(await status("/no.Such/Thing", proofHeader("/no.Such/Thing"))).toBe("12");
  });

  test("the token is kept for the address that was had, until the server stops", async () => {
    const kept: string[] = [];
    const tokens: LocalTokens = {
      keep: (address) => {
        kept.push(`kept ${address}`);
        return { token: testToken, [Symbol.dispose]: () => kept.push(`gone ${address}`) };
      },
    };
    const listening = await target({ tokens }, "localhost:0");
    expect(listening.address).toMatch(/^127\.0\.0\.1:[1-9]/);
    expect(kept).toEqual([`kept ${listening.address}`]);
    await expect(target({ tokens }, listening.address)).rejects.toMatchObject({ code: "unavailable" });
    expect(kept).toEqual([`kept ${listening.address}`]);
    await listening[Symbol.asyncDispose]();
    expect(kept).toEqual([`kept ${listening.address}`, `gone ${listening.address}`]);
  });

  test("a server whose token cannot be kept does not listen", async () => {
    let address = "";
    const tokens: LocalTokens = {
      keep: (at) => {
        address = at;
        throw new InvalidArgumentError("no room");
      },
    };
    await expect(target({ tokens })).rejects.toThrow("no room");
    await target({}, address);
  });
});

test("a refused request's body is not read, and the connection is as good as before", async () => {
  const { address } = await target({});
  const session = await http2To(address);
  const refused = session.request(grpcHeaders(askPath));
  refused.on("error", () => undefined).resume();
  const response = once(refused, "response");
  refused.write(Buffer.alloc(512 * 1024));
  expect((await response)[0]["grpc-status"]).toBe("16");
  await once(refused, "close"); // the server asks for no more, although the request has no end
  expect(refused.rstCode).toBe(0);
  for (let requests = 0; requests < 50; requests++) {
    await post(session, grpcHeaders(askPath), Buffer.alloc(256 * 1024));
  }
  const got = await post(
    session,
    { ...grpcHeaders(askPath), ...proofHeader(askPath) },
    framed(Buffer.alloc(512 * 1024)),
  );
  expect(got["grpc-status"]).toBe("0");
  expect(callers.length).toBe(1);
});

test("refusals are counted, not logged, once they are many", async () => {
  const listening = await target({});
  const session = await http2To(listening.address);
  for (let requests = 0; requests < 60; requests++) await post(session, grpcHeaders(askPath), question);
  expect(log.of("refused").length).toBe(50);
  session.destroy();
  await listening[Symbol.asyncDispose]();
  expect(log.of("more were refused than were logged")).toEqual([{ count: 10 }]);
});
