import { access } from './promises/access.ts'
import { backup } from './promises/backup.ts'
import { badInput } from './promises/badInput.ts'
import { connections } from './promises/connections.ts'
import { cutAnswers } from './promises/cutAnswers.ts'
import { deploy } from './promises/deploy.ts'
import { oneEnd } from './promises/oneEnd.ts'
import { sentOnce } from './promises/sentOnce.ts'
import { slowReaders } from './promises/slowReaders.ts'
import { stopStops } from './promises/stopStops.ts'
import { storedFirst } from './promises/storedFirst.ts'
import { storm } from './promises/storm.ts'
import type { PromiseToKeep } from './support/promise.ts'

/** In the order of their numbers. */
export const promises: readonly PromiseToKeep[] = [
  connections,
  storedFirst,
  oneEnd,
  slowReaders,
  sentOnce,
  access,
  cutAnswers,
  badInput,
  deploy,
  storm,
  backup,
  stopStops,
]
