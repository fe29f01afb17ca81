import { assert, type Role } from "@heddle/kernel";
import {
  adminCancelJob,
  adminCordonNode,
  adminDescribeJob,
  adminDescribeNode,
  adminDrainNode,
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
 * Who may call what: roles of certificates by the path of a method, at whatever server serves it. What is not here is refused.
 * Agents run work and operate objects because the tasks on them do, through them, and ask where the manager is; of nodes they ask about their own alone, and have it drained. Clients cancel jobs of their own identity. The coordinator passes on, to the
 * manager, what it has let through by this table. The manager calls nobody. The page docs/protocol.md shows the same table.
 */
export const access: ReadonlyMap<string, readonly Role[]> = table([
  [jobsRun.path, ["client", "agent"]],
  [nodesAttach.path, ["agent"]],
  [objectsOperate.path, ["client", "agent", "coordinator"]],
  [sessionsKeepAlive.path, ["client", "agent", "coordinator"]],
  [adminGetStatus.path, ["client", "agent", "admin"]],
  [adminListNodes.path, ["client", "admin"]],
  [adminDescribeNode.path, ["client", "agent", "admin"]],
  [adminCordonNode.path, ["admin"]],
  [adminDrainNode.path, ["agent", "admin"]],
  [adminListJobs.path, ["client", "admin"]],
  [adminDescribeJob.path, ["client", "admin"]],
  [adminCancelJob.path, ["client", "admin"]],
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
]);

function table(
  rows: readonly (readonly [path: string, roles: readonly Role[]])[],
): ReadonlyMap<string, readonly Role[]> {
  const byPath = new Map(rows);
  assert(byPath.size === rows.length, "a method is in the table once");
  return byPath;
}
