import { openAuthority, type TestCertificate } from "@heddle/adapter-grpc/testing";
import { type Role, roles } from "@heddle/kernel";
import type { TlsFiles } from "@heddle/port-rpc";
import * as wire from "@heddle/wire";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../../harness/waiting.ts";
import { type Outcome, RawConnection } from "./raw-request.ts";
import { SecureServers, type ServedParty } from "./secure-servers.ts";

interface Method {
  readonly path: string;
  /** It does not end by itself. */
  readonly isStream: boolean;
}

interface Definition {
  readonly fullName: string;
  readonly methods: Readonly<Record<string, { readonly name: string; readonly requestStream: boolean }>>;
}

function isDefinition(value: unknown): value is Definition {
  return typeof value === "object" && value !== null && "fullName" in value && "methods" in value;
}

/** Every method of the generated definitions (all of them are among the exports of the wire: its own test says so). */
const exported: readonly unknown[] = Object.values(wire);
const own: readonly Method[] = exported.filter(isDefinition).flatMap(({ fullName, methods }) =>
  Object.values(methods).map(({ name, requestStream }) => ({
    path: `/${fullName}/${name}`,
    isStream: requestStream,
  })),
);
const health: readonly Method[] = ["Check", "Watch", "List"].map((name) => ({
  path: `/grpc.health.v1.Health/${name}`,
  isStream: name === "Watch",
}));
const reflection: readonly Method[] = ["v1", "v1alpha"].map((version) => ({
  path: `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
  isStream: false, // what is asked ends: it answers with the error for a question that is none
}));
const unknown: readonly Method[] = [
  "/heddle.v1.Admin/DropEverything",
  "/heddle.v2.Jobs/Run",
  "/heddle.v1.Jobs/run",
  "/heddle.v1.Jobs/Run/",
  "/nobody.knows.It/Method",
  "/",
].map((path) => ({ path, isStream: false }));
const all = [...own, ...health, ...reflection];

const OK = 0;
const PERMISSION_DENIED = 7;
const UNIMPLEMENTED = 12;
const UNAUTHENTICATED = 16;

const authority = openAuthority();
const stranger = openAuthority("somebody else");
afterAll(() => {
  authority[Symbol.dispose]();
  stranger[Symbol.dispose]();
});

describe.each(["coordinator", "manager"] as const)("the %s", (party) => {
  let servers: SecureServers;
  const served = new Set<string>();

  beforeAll(async () => {
    servers = await SecureServers.start(authority);
    for (const { method } of servers[party].routes) served.add(method.path);
  });
  afterAll(() => servers[Symbol.asyncDispose]());

  /** Asks each method once, on a connection and a server of its own so that no bound of either is in the way. */
  async function askAll(
    methods: readonly Method[],
    files: TlsFiles,
    judge: (method: Method, outcome: Outcome, server: ServedParty) => Promise<void> | void,
    isShown = true,
  ): Promise<void> {
    await using server = await servers.serve(party);
    for (const method of methods) {
      server.handled.length = 0;
      server.logged.length = 0;
      await using connection = new RawConnection(server.address, files, isShown);
      await judge(method, await connection.ask(method.path, method.isStream), server);
    }
  }

  /** One refusal is in its log, in so many words. */
  async function oneRefusal(server: ServedParty, expected: object): Promise<void> {
    await eventually("the refusal is logged", () => server.refused()[0]);
    expect([...server.refused(), ...server.handled]).toEqual([
      { peer: expect.stringMatching(/^127\.0\.0\.1:\d+$/), who: undefined, path: undefined, ...expected },
    ]);
  }

  test("serves methods of the definitions alone, and the definitions are all there", () => {
    expect(own.length).toBe(18);
    expect([...served].filter((path) => !own.some((method) => method.path === path))).toEqual([]);
    expect(served.size).toBe(party === "coordinator" ? 18 : 8);
  });

  test.each(roles)(
    "lets a certificate of the role %s call what the table allows, and refuses all else unheard",
    async (role) => {
      const files = authority.issue(role, "someone");
      const who = `${role} "someone"`;
      await askAll(all, files, async ({ path, isStream }, outcome, server) => {
        if (wire.access.get(path)?.includes(role)) return allowed(path, isStream, outcome, server);
        expect([path, outcome]).toEqual([
          path,
          { type: "status", status: PERMISSION_DENIED, message: `${who} may not call ${path}: no ${role} may` },
        ]);
        await oneRefusal(server, { who, path, why: `${who} may not call ${path}: no ${role} may` });
      });
    },
  );

  function allowed(path: string, isStream: boolean, outcome: Outcome, server: ServedParty): void {
    expect([path, server.refused()]).toEqual([path, []]);
    if (!own.some((method) => method.path === path)) {
      expect([path, outcome]).toMatchObject([path, isStream ? { type: "stream" } : { type: "status", status: OK }]);
    } else if (!served.has(path)) {
      expect([path, outcome, server.handled]).toMatchObject([path, { status: UNIMPLEMENTED }, []]);
    } else {
      expect([path, server.handled]).toEqual([path, [path]]);
      if (isStream) expect([path, outcome]).toEqual([path, { type: "stream" }]);
      else {
        const refusals: unknown[] = [PERMISSION_DENIED, UNIMPLEMENTED, UNAUTHENTICATED];
        expect([path, outcome.type === "status" && refusals.includes(outcome.status)]).toEqual([path, false]);
      }
    }
  }

  test.each(roles)("refuses what it does not serve to the role %s like what it may not call", async (role) => {
    const files = authority.issue(role, "someone");
    const who = `${role} "someone"`;
    await askAll(unknown, files, async ({ path }, outcome, server) => {
      const why = `${who} may not call ${path}: no ${role} may`;
      expect([path, outcome]).toEqual([path, { type: "status", status: PERMISSION_DENIED, message: why }]);
      await oneRefusal(server, { who, path, why });
    });
  });

  const believed = (certificate: TestCertificate) => authority.issue("admin", "someone", certificate);
  const outsiders: readonly [what: string, files: () => TlsFiles, isShown: boolean, why: RegExp][] = [
    ["no certificate", () => believed({}), false, /handshake failed: .*(certificate|CERT)/i],
    [
      "one of another authority",
      () => stranger.issue("admin", "someone", { believes: authority }),
      true,
      /handshake failed: .*(UNABLE|SELF_SIGNED|issuer|unknown)/i,
    ],
    ["one that has expired", () => believed({ fromHours: -3, toHours: -1 }), true, /handshake failed: .*EXPIRED/],
    ["one that is not valid yet", () => believed({ fromHours: 1, toHours: 3 }), true, /handshake failed: .*NOT_YET/],
    ["one for servers alone", () => believed({ uses: ["serverAuth"] }), true, /handshake failed: .*PURPOSE/],
  ];
  test.each(outsiders)(
    "ends the handshake of who shows %s, whatever it asks for",
    async (_what, files, isShown, why) => {
      await askAll(
        [...all, ...unknown],
        files(),
        async ({ path }, outcome, server) => {
          expect([path, outcome]).toEqual([path, { type: "no-connection" }]);
          await oneRefusal(server, { why: expect.stringMatching(why) });
        },
        isShown,
      );
    },
  );

  const uri = (role: string): string => `spiffe://heddle/${role}/someone`;
  const nobodies: readonly [what: string, certificate: TestCertificate][] = [
    ["without a role", { uris: [] }],
    ["with two roles", { uris: [uri("client"), uri("admin")] }],
    ["with the same role twice", { uris: [uri("admin"), uri("admin")] }],
    ["with a role that is none", { uris: [uri("root")] }],
    ["with a role of somebody else's fabric", { uris: ["spiffe://other/admin/someone"] }],
    ["with a role among its host names", { uris: [], hosts: ["admin", "spiffe-heddle-admin-someone"] }],
  ];
  test.each(nobodies)("answers nothing to a certificate %s", async (_what, certificate) => {
    await askAll(
      [...all, ...unknown],
      authority.issue("admin", "someone", certificate),
      async ({ path }, outcome, server) => {
        expect([path, outcome]).toMatchObject([path, { type: "status", status: UNAUTHENTICATED }]);
        await oneRefusal(server, {
          path,
          why: expect.stringContaining("exactly one URI spiffe://heddle/<role>/<name>"),
        });
      },
    );
  });
});

test("what the coordinator refuses does not reach the manager, and what it allows does, as the coordinator's", async () => {
  await using servers = await SecureServers.start(authority);
  await using server = await servers.serve("coordinator");
  const questions = own.filter(({ path }) => path.startsWith("/heddle.v1.ObjectsAdmin/"));
  expect(questions.length).toBe(6);
  const asks: readonly [Role, boolean][] = [
    ["client", false],
    ["agent", false],
    ["admin", true],
  ];
  for (const [role, mayBreak] of asks) {
    await using connection = new RawConnection(server.address, authority.issue(role, "someone"));
    for (const { path } of questions) {
      servers.relayedTo.handled.length = 0;
      const outcome = await connection.ask(path, false);
      const isAllowed = path.endsWith("/BreakLock") ? mayBreak : role !== "agent";
      expect([role, path, servers.relayedTo.handled]).toEqual([role, path, isAllowed ? [path] : []]);
      expect(outcome.type === "status" && outcome.status === PERMISSION_DENIED).toBe(!isAllowed);
    }
  }
  expect(servers.relayedTo.refused()).toEqual([]);
});
