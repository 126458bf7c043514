//! Mail: the letters that identity wants sent, written as text and put into a local mailbox or sent by SMTP.
//!
//! Does not live here: the queue of letters (the database's, through `crm_tenancy`), and who may be written to.
