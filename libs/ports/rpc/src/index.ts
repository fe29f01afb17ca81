export { type AcceptedHandler, type AcceptorOptions, SessionAcceptor } from "./accepting-sessions.ts";
export { Audit, type AuditOptions, type Refusal } from "./audit.ts";
export {
  type AccessTable,
  type Caller,
  callerText,
  identityText,
  isSameCaller,
  mayCall,
  type TlsFiles,
  thisUser,
  tlsFilesIn,
} from "./caller.ts";
export { CallerQuota, type QuotaOptions } from "./caller-quota.ts";
export type { Credentials } from "./credentials.ts";
export { type DialOptions, dialSession } from "./dialing-session.ts";
export type { Frame, Goodbye, Hello, SessionControl, Version, Welcome } from "./frame.ts";
export {
  CLOCK_RATE_BOUND,
  endlessLeases,
  type KeptLease,
  type LeaseKeeper,
  type LeaseTerms,
  leaseUntilMs,
  SCHEDULING_GUARD_MS,
} from "./leases.ts";
export type { SessionSizes } from "./limits.ts";
export type { Link, LinkEnd } from "./link.ts";
export { MemoryNetwork } from "./memory.ts";
export { isRefusal } from "./refusal.ts";
export {
  type Listening,
  type MessageCodec,
  type Route,
  type RpcClient,
  type RpcServer,
  type StreamMethod,
  streamRoute,
  type UnaryMethod,
  unaryRoute,
} from "./rpc.ts";
export { rpcError } from "./rpc-error.ts";
export type { Pace, Session, SessionEnd, SessionHandler } from "./session.ts";
export { Waiters } from "./waiters.ts";
