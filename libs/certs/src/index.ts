export {
  issueCertificate,
  issueHostCertificate,
  type KeyPairPem,
  makeAuthority,
  type Validity,
} from './authority.ts'
export {
  type CertificateInfo,
  CertsError,
  fileBaseOf,
  initAuthority,
  issue,
  listCertificates,
} from './directory.ts'
