import type { Role } from "@heddle/kernel";
import {
  adminGetStatus,
  adminListJobs,
  adminListNodes,
  jobsRun,
  nodesAttach,
  objectsAdminBreakLock,
  objectsAdminDescribeLock,
  objectsAdminDescribeObject,
  objectsAdminListLocks,
  objectsAdminListObjects,
  objectsAdminListSessions,
  objectsOperate,
  sessionsKeepAlive,
} from "./methods.ts";

const everybody: readonly Role[] = ["client", "agent", "coordinator", "manager", "admin"];

/**
 * Who may call what: roles of certificates by the path of a method. What is not here is refused.
 * Agents run work and operate objects because the tasks on them do, through them. The coordinator passes on, to the manager, what it has
 * let through by this table.
 */
export const access: ReadonlyMap<string, readonly Role[]> = new Map([
  [jobsRun.path, ["client", "agent"]],
  [nodesAttach.path, ["agent"]],
  [objectsOperate.path, ["client", "agent", "coordinator"]],
  [sessionsKeepAlive.path, ["client", "agent", "coordinator"]],
  [adminGetStatus.path, ["client", "agent", "admin"]],
  [adminListNodes.path, ["client", "admin"]],
  [adminListJobs.path, ["client", "admin"]],
  [objectsAdminListObjects.path, ["client", "coordinator", "admin"]],
  [objectsAdminDescribeObject.path, ["client", "coordinator", "admin"]],
  [objectsAdminListLocks.path, ["client", "coordinator", "admin"]],
  [objectsAdminDescribeLock.path, ["client", "coordinator", "admin"]],
  [objectsAdminListSessions.path, ["client", "coordinator", "admin"]],
  [objectsAdminBreakLock.path, ["coordinator", "admin"]],
  ["/grpc.health.v1.Health/Check", everybody],
  ["/grpc.health.v1.Health/Watch", everybody],
  ["/grpc.health.v1.Health/List", everybody],
  ["/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", ["admin"]],
  ["/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", ["admin"]],
] satisfies [string, readonly Role[]][]);
