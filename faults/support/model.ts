import { startFakeModelServer, type FakeModelServer } from '../../tests/support/fakeModelServer.ts'
import type { Attack } from './promise.ts'

/** A model server that ends with the attack. */
export async function startModel(attack: Attack): Promise<FakeModelServer> {
  const fake = await startFakeModelServer()
  attack.defer(() => fake.stop())
  return fake
}
