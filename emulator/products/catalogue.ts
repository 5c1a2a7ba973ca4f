/** Google's products here, one line each: every list of them is derived from this one. Importing it loads none of them. */
import type { Product } from '../rest/product.ts'
import { artifactregistry } from './artifactregistry/product.ts'
import { cloudbuild } from './cloudbuild/product.ts'
import { compute } from './compute/product.ts'
import { iam } from './iam/product.ts'
import { iamcredentials } from './iamcredentials/product.ts'
import { issuer } from './issuer/product.ts'
import { logging } from './logging/product.ts'
import { metadata } from './metadata/product.ts'
import { resourcemanager } from './resourcemanager/product.ts'
import { run } from './run/product.ts'
import { serviceusage } from './serviceusage/product.ts'
import { storage } from './storage/product.ts'

export const catalogue: readonly Product[] = [
  metadata,
  issuer,
  run,
  iam,
  iamcredentials,
  resourcemanager,
  serviceusage,
  logging,
  cloudbuild,
  storage,
  artifactregistry,
  compute,
]
