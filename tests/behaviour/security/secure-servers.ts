import { fileURLToPath } from "node:url";
import { createGrpcClient, createGrpcServer } from "@heddle/adapter-grpc";
import type { TestAuthority } from "@heddle/adapter-grpc/testing";
import { systemEnvironment } from "@heddle/adapter-system";
import type { LogFields, Logger } from "@heddle/kernel";
import { memoryBlobs } from "@heddle/port-blobs";
import { memoryJobStore } from "@heddle/port-job-store";
import { memoryJournal } from "@heddle/port-journal";
import type { Listening, Route, TlsFiles } from "@heddle/port-rpc";
import { CoordinatorShell } from "@heddle/shell-coordinator";
import { ManagerShell } from "@heddle/shell-manager";
import { access, descriptorSetUrl } from "@heddle/wire";

/** A line of a server's log. */
export interface LogLine {
  readonly message: string;
  readonly fields: LogFields | undefined;
}

/** One of the two servers, for one test: with a log and counts of its own. */
export interface ServedParty extends AsyncDisposable {
  readonly address: string;
  /** What its handlers were called for, in order. */
  readonly handled: string[];
  /** Its refusals. */
  readonly refused: () => LogFields[];
  readonly logged: LogLine[];
}

/** A manager and a coordinator in this process, behind servers over mutual TLS whose files are issued by `authority`. */
export class SecureServers implements AsyncDisposable {
  readonly manager: ManagerShell;
  readonly coordinator: CoordinatorShell;
  /** The manager as the coordinator knows it. */
  readonly relayedTo: ServedParty;
  /** What the manager and the coordinator themselves said, from "info" on. */
  readonly said: LogLine[];
  readonly #tls: { readonly manager: TlsFiles; readonly coordinator: TlsFiles };
  readonly #scope: AsyncDisposableStack;

  private constructor(parts: {
    manager: ManagerShell;
    coordinator: CoordinatorShell;
    relayedTo: ServedParty;
    said: LogLine[];
    tls: { readonly manager: TlsFiles; readonly coordinator: TlsFiles };
    scope: AsyncDisposableStack;
  }) {
    this.manager = parts.manager;
    this.coordinator = parts.coordinator;
    this.relayedTo = parts.relayedTo;
    this.said = parts.said;
    this.#tls = parts.tls;
    this.#scope = parts.scope;
  }

  static async start(authority: TestAuthority): Promise<SecureServers> {
    const scope = new AsyncDisposableStack();
    const said: LogLine[] = [];
    const env = { ...systemEnvironment(), log: logInto(said) };
    const identity = { env, build: "test", nodeMajor: 24, pid: process.pid };
    const tls = { manager: authority.issue("manager", "m1"), coordinator: authority.issue("coordinator", "c1") };
    const manager = new ManagerShell({ ...identity, journal: scope.use(memoryJournal()) });
    await manager.start();
    const relayedTo = scope.use(await serve(manager.routes, tls.manager));
    const client = scope.use(createGrpcClient({ tls: tls.coordinator, log: env.log }));
    const coordinator = new CoordinatorShell({
      ...{ ...identity, blobs: memoryBlobs(), jobs: scope.use(memoryJobStore()) },
      manager: { address: relayedTo.address, client },
    });
    await coordinator.start();
    scope.defer(() => coordinator.stop(0));
    return new SecureServers({ manager, coordinator, relayedTo, said, tls, scope });
  }

  /** Serves one of them at a new address. */
  serve(party: "manager" | "coordinator"): Promise<ServedParty> {
    return serve(this[party].routes, this.#tls[party]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#scope.disposeAsync();
  }
}

async function serve(routes: readonly Route[], tls: TlsFiles): Promise<ServedParty> {
  const logged: LogLine[] = [];
  const handled: string[] = [];
  const log = logInto(logged);
  const server = createGrpcServer({ log, access, tls, descriptorSet: fileURLToPath(descriptorSetUrl) });
  const listening: Listening = await server.listen(
    "127.0.0.1:0",
    routes.map((route) => counted(route, handled)),
  );
  return {
    address: listening.address,
    handled,
    logged,
    refused: () => logged.flatMap(({ message, fields }) => (message === "refused" ? [fields ?? {}] : [])),
    [Symbol.asyncDispose]: () => listening[Symbol.asyncDispose](),
  };
}

function logInto(lines: LogLine[]): Logger {
  const note = (message: string, fields?: LogFields): void => void lines.push({ message, fields });
  return { debug: () => undefined, info: note, warn: note, error: note };
}

function counted(route: Route, handled: string[]): Route {
  const { path } = route.method;
  if (route.kind === "stream")
    return {
      ...route,
      accept: (link) => {
        handled.push(path);
        route.accept(link);
      },
    };
  return {
    ...route,
    answer: (request, caller) => {
      handled.push(path);
      return route.answer(request, caller);
    },
  };
}
