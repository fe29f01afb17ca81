import { Manager } from "heddle";

/** Holds a lock from when it sets the event `held` until the event `enough` is set. Gives back its process id. */
export async function holdLock(name: string, held: string, enough: string): Promise<number> {
  await using manager = new Manager();
  await using _guard = await manager.lock({ name }).acquire();
  await manager.event({ name: held }).set();
  await manager.event({ name: enough }).wait();
  return process.pid;
}
