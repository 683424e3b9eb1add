import type { ClientOf, Disk, Transport } from '@serverless-ai/kernel'
import type { Trap } from './trap.ts'

/** Paths of calls that are effects: they change another service. */
const EFFECT = /\/serverlessai\.schedule\.v1\.SchedulerService\/(?:Enqueue|Cancel|Recover|GiveUp)$/

/** A disk that ends the process in the middle of a snapshot. */
export function crashingDisk(inner: Disk, trap: Trap): Disk {
  return {
    read: (path) => inner.read(path),
    append: (path, bytes, options) => inner.append(path, bytes, options),
    list: (path) => inner.list(path),
    exists: (path) => inner.exists(path),
    makeDirectory: (path) => inner.makeDirectory(path),
    remove: (path) => inner.remove(path),
    async writeAtomic(path, bytes) {
      if (path.includes('/snapshots/')) {
        if (path.includes('/chunk-') && trap.hit('mid-snapshot')) {
          await inner.writeAtomic(path, bytes.subarray(0, Math.ceil(bytes.byteLength / 2)))
          await trap.die()
        }
        if (path.endsWith('/manifest.json') && trap.hit('manifest-unwritten')) await trap.die()
      }
      await inner.writeAtomic(path, bytes)
    },
  }
}

/** A transport that ends the process instead of sending an effect. */
export function crashingTransport(inner: Transport, trap: Trap): Transport {
  return {
    client<S>(service: S, target: { address: string; token?: string }): ClientOf<S> {
      const client = inner.client(service, target)
      return new Proxy(Object(client), {
        get(from, name) {
          const call = Reflect.get(from, name)
          // By its path: clients give methods names of their own.
          const path = String(Reflect.get(Object(service), name)?.path)
          if (typeof call !== 'function' || !EFFECT.test(path)) return call
          return (...parameters: unknown[]) =>
            trap.effectArmed ? trap.dieSoon() : Reflect.apply(call, from, parameters)
        },
      })
    },
    close: () => inner.close(),
  }
}
