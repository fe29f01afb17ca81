import { openScope } from "@heddle/adapter-processes";
import { createShipper } from "@heddle/adapter-ship";
import {
  bootClock,
  environmentVariable,
  hostFacts,
  onProcessEnd,
  openTerminal,
  processHolds,
  systemEnvironment,
  threadLeases,
} from "@heddle/adapter-system";
import {
  checkOptionNames,
  checkTimeout,
  described,
  Fabric,
  noCoordinatorError,
  type ObjectsFacilities,
  streamLeases,
  UNAVAILABLE_TIMEOUT_MS,
} from "@heddle/client";
import {
  backoffMs,
  type Environment,
  InvalidArgumentError,
  parseAddress,
  TimeoutError,
  UnavailableError,
} from "@heddle/kernel";
import type { TlsFiles } from "@heddle/port-rpc";
import { protocolVersion } from "@heddle/wire";
import { BUILD } from "./build.ts";
import { checkCredentials, credentialsOf } from "./credentials.ts";
import { lazyGrpcClient } from "./lazy-grpc.ts";
import { leaseThreadEntry } from "./lease-thread-entry.ts";

/** Options of `connect`. */
export interface ConnectOptions {
  /**
   * PEM files that prove who this program is, and whom it believes: `heddle certs init` makes them. With them it speaks TLS at every address but unix sockets, and beyond this machine it speaks nothing
   * else. They are read anew when they change. Those in the directory HEDDLE_TLS_DIR (ca.crt, tls.crt, tls.key), or in HEDDLE_CA_FILE, HEDDLE_CERT_FILE and HEDDLE_KEY_FILE, unless this or `token` is given.
   */
  readonly tls?: TlsFiles;
  /**
   * The secret of a server at loopback without TLS, as `heddle token` prints it: for tunnels, behind which the server's own file is not found. HEDDLE_TOKEN unless given; without it that of this user's
   * server at the address is found by itself. It is proved and never sent, and of no use beyond loopback.
   */
  readonly token?: string;
  /** How long the coordinator may take to answer; 10 s unless given. Then UnavailableError, with a TimeoutError as its cause when nothing refused the connection. */
  readonly timeoutMs?: number;
  /**
   * Longest wait for a coordinator that vanished later, or does not let this program in any more; 60 s unless given. Then what waits rejects with UnavailableError, or with the
   * AuthenticationError or PermissionError.
   */
  readonly unavailableTimeoutMs?: number;
}

const CONNECT_TIMEOUT_MS = 10_000;
const CONNECT_BACKOFF = { firstMs: 50, maxMs: 500 } as const;

/** Throws TypeError for an address that is no text, InvalidArgumentError for one that cannot be an address. */
export function checkAddress(address: unknown): void {
  checkText(address);
  if (address !== undefined) parseAddress(address);
}

/** The address in HEDDLE_ADDRESS. Throws InvalidArgumentError for one that cannot be an address. */
export function addressInEnvironment(): string | undefined {
  const address = environmentVariable("HEDDLE_ADDRESS");
  try {
    checkAddress(address);
  } catch (cause) {
    throw new InvalidArgumentError(`HEDDLE_ADDRESS: ${(cause as Error).message}`, { cause });
  }
  return address;
}

function checkText(address: unknown): asserts address is string | undefined {
  if (address !== undefined && typeof address !== "string")
    throw new TypeError(`address must be a string, got ${described(address)}`);
}

/** Throws TypeError or RangeError for what `connect` cannot take, InvalidArgumentError for what cannot be an address. */
export function checkConnect(address: unknown, options: ConnectOptions): void {
  checkText(address);
  checkOptionNames("connect", options, ["timeoutMs", "unavailableTimeoutMs", "tls", "token"]);
  checkTimeout(options.timeoutMs);
  checkCredentials(options);
  checkAddress(address);
}

/** Throws InvalidArgumentError for credentials that there is no server for: `here` is what needs none. */
export function checkUnaddressed({ tls, token }: ConnectOptions, here: string): void {
  const given = tls !== undefined ? "tls" : token !== undefined ? "a token" : undefined;
  if (given !== undefined)
    throw new InvalidArgumentError(`${given} was given without the address of a coordinator, and ${here} needs none`);
}

/** How a fabric handle tells its process that it is in use. */
export interface Holds {
  /** Told while something of a fabric is awaited. */
  readonly hold: () => Disposable;
  /** Told while something is there that this process is to outlive. */
  readonly keep: () => Disposable;
  /** Inside workers: what takes the place of asking for objects of another fabric, in a task whose writes count once. */
  readonly effects?: ObjectsFacilities["effects"];
}

/**
 * The fabric of the coordinator at an address, once it answers. Rejects with UnavailableError, and at once with AuthenticationError, PermissionError or InvalidArgumentError: time cures
 * none of these at the first attempt.
 */
export async function reachFabric(address: string, options: ConnectOptions, holds?: Holds): Promise<Fabric> {
  const fabric = remoteFabric(address, options, holds);
  try {
    await answered(fabric, options.timeoutMs ?? CONNECT_TIMEOUT_MS);
    return fabric;
  } catch (error) {
    await fabric.close();
    throw error;
  }
}

/** The fabric of the coordinator at an address, which is dialled when it is first needed. Throws as `checkAddress` and `credentialsOf`. */
export function remoteFabric(address: string, options: ConnectOptions, holds?: Holds): Fabric {
  checkAddress(address);
  const env = systemEnvironment();
  const credentials = credentialsOf(options);
  const client = lazyGrpcClient(credentials, env.log);
  const scope = new AsyncDisposableStack();
  scope.use(client);
  const dispose = (): Promise<void> => scope.disposeAsync();
  const fabric = new Fabric({
    ...common(env, options, holds),
    client,
    address,
    objects: {
      openScope,
      bootClock,
      leases: leasesFor(credentials, streamLeases(env, client)),
      effects: holds?.effects,
    },
    dispose,
  });
  scope.use(onProcessEnd(() => fabric.leave()));
  return fabric;
}

/** One thread for the sessions of all fabrics of this process. */
const leasesFor = threadLeases({ env: systemEnvironment(), entry: leaseThreadEntry });

/** One for all fabrics of this process: they share its last line. */
const terminal = openTerminal();

/** What every fabric handle of this process has. It keeps the process alive while something is awaited, unless `holds` has another way. */
export function common(env: Environment, options: ConnectOptions, holds: Holds = ownHolds()) {
  const { pid, host, program, nodeMajor } = hostFacts();
  return {
    env,
    shipper: createShipper(),
    version: protocolVersion(BUILD, nodeMajor),
    description: `${program}@${host} pid ${pid}`,
    unavailableTimeoutMs: options.unavailableTimeoutMs ?? UNAVAILABLE_TIMEOUT_MS,
    hold: holds.hold,
    keep: holds.keep,
    print: terminal.print,
    statusLine: terminal.statusLine,
  };
}

function ownHolds(): Holds {
  const hold = processHolds();
  return { hold, keep: hold };
}

/** Asks until there is an answer: a coordinator that is just starting is no error. */
async function answered(fabric: Fabric, timeoutMs: number): Promise<void> {
  const { clock, random } = fabric.host.env;
  using _hold = fabric.host.hold();
  const deadlineMs = clock.nowMs() + timeoutMs;
  const { promise: late, reject } = Promise.withResolvers<never>();
  using _deadline = clock.setTimer(deadlineMs, () => reject(new TimeoutError(`no answer within ${timeoutMs} ms`)));
  let refusal: UnavailableError | undefined;
  for (let failures = 1; ; failures++) {
    try {
      await Promise.race([fabric.status(), late]);
      return;
    } catch (cause) {
      const pauseMs = backoffMs(CONNECT_BACKOFF, failures, random);
      if (cause instanceof UnavailableError) refusal = cause;
      else if (!(cause instanceof TimeoutError)) throw cause;
      if (clock.nowMs() + pauseMs > deadlineMs)
        throw refusal === undefined
          ? silentError(fabric.address, timeoutMs, { cause })
          : noCoordinatorError(fabric.address, { cause: refusal });
      await new Promise<void>((resolve) => clock.setTimer(clock.nowMs() + pauseMs, resolve));
    }
  }
}

/** Somebody may be there: nothing refused the connection, and nothing came of it. */
function silentError(address: string, timeoutMs: number, options: ErrorOptions): UnavailableError {
  const time = timeoutMs < 1_000 ? `${timeoutMs} ms` : `${timeoutMs / 1_000} s`;
  return new UnavailableError(
    `the coordinator at ${address} did not answer within ${time}: it is busy or stopped, something else listens there, or no packets get there`,
    options,
  );
}
