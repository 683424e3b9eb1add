export {
  issueCertificate,
  issueHostCertificate,
  type KeyPairPem,
  makeAuthority,
  prolongAuthority,
  type Validity,
} from './authority.ts'
export {
  type CertificateInfo,
  CertsError,
  fileBaseOf,
  initAuthority,
  issue,
  listCertificates,
  renewAuthority,
} from './directory.ts'
